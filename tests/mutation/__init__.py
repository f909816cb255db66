"""Measure the tests: change single tokens of the core, and count the changes that its own tests notice."""
