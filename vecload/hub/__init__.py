"""Share vectors on the Hugging Face Hub: `push` uploads them with a model card, which `card` writes.

``vecload.load("hf://org/name")`` reads them back; so do `Aligned.load` and `SentencePooler.load`. The login, cache and
offline mode are those of huggingface_hub (extra "hub").

Examples
--------
>>> from vecload import hub
>>> hub.push(vectors, "org/name", private=True)  # doctest: +SKIP
'https://huggingface.co/org/name/commit/0d5f...'
"""

from vecload.hub.cards import card
from vecload.hub.pushing import push
from vecload.hub.reading import read_shared
from vecload.keywords import explain_public

__all__ = ["card", "push", "read_shared"]

explain_public(__name__)
