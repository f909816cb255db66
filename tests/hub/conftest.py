from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_server import Hub, serving_hub, use_hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """Serve a Hub on the loopback interface, and let huggingface_hub use it with a cache of its own."""
    with serving_hub() as served:
        use_hub(served, monkeypatch, tmp_path / "hf")
        yield served
