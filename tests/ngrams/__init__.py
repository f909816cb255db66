"""Tests of `vecload.ngrams`."""
