"""Tests of `vecload.vocab`."""
