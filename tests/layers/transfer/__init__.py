"""Tests of moving models to other tokenizers."""
