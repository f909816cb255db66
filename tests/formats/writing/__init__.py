"""Tests of `vecload.formats.writing`."""
