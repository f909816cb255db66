"""``python -m vecload.cli``: what the console script does."""

from vecload.cli import main

main()
