"""Tests of `vecload.sources`."""
