"""Matrices whose words are in another file: NumPy arrays, tensors, tables of numbers, and models of Hugging Face."""
