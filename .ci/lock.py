"""Read the lock that uv writes, and print it with paths of wheels instead of addresses: lock.py < lock > pylock.toml.

The addresses of uv name one package index. With paths, the wheels may be downloaded from any index or mirror, and the
hashes still tell whether they are the same files. The format is that of PEP 751.
"""

import sys
import tomllib
from pathlib import PurePosixPath


def main() -> None:
    lock = tomllib.loads(sys.stdin.read())
    print("# Written by `make lock`. CONTRIBUTING.md tells how to install from it.")
    print(f'lock-version = "1.0"\ncreated-by = "uv"\nrequires-python = "{lock["requires-python"]}"')
    for package in lock["packages"]:
        print(f'\n[[packages]]\nname = "{package["name"]}"\nversion = "{package["version"]}"')
        if "marker" in package:
            print(f'marker = "{package["marker"]}"')
        print("wheels = [")
        for wheel in package["wheels"]:
            path = PurePosixPath("wheels", PurePosixPath(wheel["url"]).name)
            print(f'  {{ path = "{path}", hashes = {{ sha256 = "{wheel["hashes"]["sha256"]}" }} }},')
        print("]")


if __name__ == "__main__":
    main()
