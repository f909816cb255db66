"""Tests of smaller fastText models."""
