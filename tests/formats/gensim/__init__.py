"""Tests of `vecload.formats.gensim`."""
