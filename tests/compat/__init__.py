"""Tests of `vecload.compat`."""
