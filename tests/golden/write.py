"""Write the golden files that are missing for this version, which never changes existing ones.

python -m tests.golden.write
"""

from __future__ import annotations

import json

import vecload
from tests.golden.files import FOLDER, MANIFEST, digest, golden_files, manifest


def main() -> None:
    entries = manifest()
    known = {entry["name"] for entry in entries}
    for name, golden in golden_files().items():
        if name not in known:
            path = FOLDER / vecload.__version__ / name
            path.parent.mkdir(parents=True, exist_ok=True)
            golden.write(path)
            entries.append({"name": name, "version": vecload.__version__, "sha256": digest(path)})
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    MANIFEST.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
