"""Files that released formats of vecload wrote once, and that every later version has to read."""
