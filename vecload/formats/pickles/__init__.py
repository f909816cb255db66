"""Pickles as data: read without running anything, and searched for words and their vectors."""
