"""Drop-in modules for scripts written for other libraries."""

from vecload.compat import fasttext, torchtext

__all__ = ["fasttext", "torchtext"]
