"""Tests of `vecload.search`."""
