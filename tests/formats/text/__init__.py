"""Tests of `vecload.formats.text`."""
