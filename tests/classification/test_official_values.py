"""The numbers that the official library fasttext 0.9.3 gave for models that any computer can write again.

The library needs NumPy 1, so it cannot be installed beside the other development packages. In an environment of its own
it read the files of `made_model`; `official.json` has its results.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vecload
from tests.classification.made_models import MODELS, TEXTS, made_model
from vecload.compat import fasttext as compat

OFFICIAL: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("official.json").read_text("utf-8"))


@pytest.mark.parametrize("name", MODELS)
def test_results_equal_those_of_fasttext_0_9_3(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(made_model(**MODELS[name]))
    model, official = compat.load_model(path), OFFICIAL[name]
    for word, vector in official["vectors"].items():
        np.testing.assert_allclose(model.get_word_vector(word), vector, atol=1e-6, err_msg=word)
    if "sentences" in official:
        found = [model.get_sentence_vector(text) for text in TEXTS]
        np.testing.assert_allclose(found, official["sentences"], atol=1e-6)
        return
    classifier = vecload.load_classifier(path)
    for text, expected in zip(TEXTS, official["predictions"], strict=True):
        for labels, shares in (classifier.predict(text, 3), [part[0] for part in classifier.predict([text], 3)]):
            assert list(labels) == [label for label, _ in expected], text
            np.testing.assert_allclose(shares, [share for _, share in expected], atol=1e-5)


def test_every_model_has_results() -> None:
    assert list(OFFICIAL) == list(MODELS)
