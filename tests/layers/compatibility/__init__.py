"""Compatibility matrix: `rows` are layers, `columns` are their uses, and cells compare with a plain torch layer."""
