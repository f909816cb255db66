"""Tests of `vecload.distributed`."""
