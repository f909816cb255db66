"""Tests of supervised fastText models."""
