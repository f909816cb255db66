"""Tests of `vecload.tokenizers`."""
