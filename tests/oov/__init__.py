"""Tests of `vecload.oov`."""
