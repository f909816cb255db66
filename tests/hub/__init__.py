"""Tests of `vecload.pooling`."""
