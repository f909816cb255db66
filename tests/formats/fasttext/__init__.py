"""Tests of `vecload.formats.fasttext`."""
