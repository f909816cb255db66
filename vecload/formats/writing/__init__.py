"""Shared parts of writers: words a format cannot represent, rounding, and headers with a row count."""
