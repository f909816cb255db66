"""Errors for mistyped names end with the nearest one that is known."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from vecload import Vectors, align, load, transform
from vecload.cli import app
from vecload.errors import OptionError, VocabularyError
from vecload.evaluation.results import read_all
from vecload.message_text import did_you_mean
from vecload.pooling import SentencePooler

VECTORS = Vectors(["cat", "dog"], [[1.0, 0], [0, 1]])

MISTYPED = {
    "format": (lambda: load("no file", format="Glvoe"), "'glove'"),
    "format with capitals": (lambda: load("no file", format="fastTxt"), "'fastText'"),
    "step of a transform": (lambda: transform(VECTORS, ["centre"]), "'center'"),
    "step of a chain": (lambda: align(VECTORS, ["cat"], oov=["casefld"]), "'casefold'"),
    "mode of a pooler": (lambda: SentencePooler(VECTORS, "meen"), "'mean'"),
    "data set": (lambda: read_all(["wordsim35"]), "'wordsim353'"),
}


@pytest.mark.parametrize("name", MISTYPED)
def test_mistyped_name_raises_an_error_with_the_nearest_name(name: str) -> None:
    call, expected = MISTYPED[name]
    with pytest.raises(OptionError) as caught:
        call()
    assert str(caught.value).endswith(f"; did you mean {expected}?")


def test_name_unlike_all_others_gets_no_suggestion() -> None:
    assert did_you_mean("zzzz", ["casefold"]) == ""
    with pytest.raises(OptionError) as caught:
        transform(VECTORS, ["zzzz"])
    assert "did you mean" not in str(caught.value)


def test_mistyped_catalog_name_raises_an_error_with_the_nearest_name(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["download", "glove.6b.50d"])
    assert isinstance(done.exception, VocabularyError)
    assert str(done.exception) == "the catalog has no 'glove.6b.50d'; did you mean 'glove.6B.50d'?"
