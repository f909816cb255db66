"""Formats of fastText and floret: binary models and floret's table of hashed n-grams."""
