"""Tests of `vecload.evaluation`."""
