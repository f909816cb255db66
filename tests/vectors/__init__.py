"""Tests of `vecload.vectors`."""
