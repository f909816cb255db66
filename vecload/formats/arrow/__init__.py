"""Columnar files of words and vectors: Parquet and Arrow IPC."""
