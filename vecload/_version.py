"""The version of the package, importable without the names of the root package."""

from typing import Final

__version__: Final = "0.1.0"
