"""Write word vectors in any format: `convert` streams a file, `save` writes vectors in memory."""

from vecload.conversion.converting import Conversion, check_conversions, convert, targets_in
from vecload.conversion.saving import save
from vecload.keywords import explain_public

__all__ = ["Conversion", "check_conversions", "convert", "save", "targets_in"]

explain_public(__name__)
