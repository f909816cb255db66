"""Tests of `vecload.conversion`."""
