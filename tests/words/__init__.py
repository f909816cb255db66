"""Tests of `vecload.words`."""
