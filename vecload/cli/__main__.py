"""``python -m vecload.cli``: the same as the console script `vecload`."""

from vecload.cli import main

main()
