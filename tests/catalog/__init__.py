"""Tests of `vecload.catalog`."""
