"""The functions ``load_model`` and ``tokenize`` of the official fastText package, which is archived.

Change the import, and scripts that use trained models stay the same::

    import vecload.compat.fasttext as fasttext

    model = fasttext.load_model("lid.176.ftz")

Models cannot be trained or saved. The guide "From fastText" names vecload's own functions.
"""

from vecload.compat.fasttext.model import FastText, load_model, tokenize

__all__ = ["FastText", "load_model", "tokenize"]
