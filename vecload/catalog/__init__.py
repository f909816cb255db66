"""Public files of word vectors by name: list them, download them, verify them.

`catalog.toml` lists the files, and the source of each fact about them. `find` and `get` search it. `download`
fetches a file into the cache and verifies it.

Examples
--------
>>> from vecload import catalog
>>> [entry.name for entry in catalog.find("glove:glove.6b")]
['glove.6B.50d', 'glove.6B.100d', 'glove.6B.200d', 'glove.6B.300d']
"""

from vecload.catalog.cache import Cached, cache_folder, cached, download, remove, verify
from vecload.catalog.http import Policy
from vecload.catalog.listing import Entry, entries, find, get
from vecload.keywords import explain_public

__all__ = [
    "Cached",
    "Entry",
    "Policy",
    "cache_folder",
    "cached",
    "download",
    "entries",
    "find",
    "get",
    "remove",
    "verify",
]

explain_public(__name__)
