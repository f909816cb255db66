"""Tests of `vecload.alignment`."""
