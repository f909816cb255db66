"""``python -m vecload``: what the console script does."""

from vecload.cli import main

main()
