"""Tests of `vecload.text_input`."""
