"""Drop-in modules for scripts written for other libraries."""

from vecload.compat import torchtext

__all__ = ["torchtext"]
