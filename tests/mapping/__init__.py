"""Tests of `vecload.mapping`."""
