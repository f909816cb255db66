"""Tests of `vecload.formats.arrow`."""
