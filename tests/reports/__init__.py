"""Tests of `vecload.reports`."""
