"""Tests of `vecload.cli`."""
