"""Tests of `vecload.transforms`."""
