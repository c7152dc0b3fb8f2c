"""What is said of the data before a run: by the tokenizer and BM25 alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workbench.auto.test_take import counter
from tests.workbench.training.fakes import FakeReader
from workbench.auto import outlook as module
from workbench.auto.outlook import Outlook, before
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel

TRAIN = [(f"ask w{n}", [f"answer w{n}", f"filler w{n}"], []) for n in range(6)]
CHINESE = [
    (f"北京第{n}", [f"北京是中国的首都，有三千多年的历史，第{n}个答案。"], []) for n in range(6)
]


def told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, splits: Any, **changed: Any
) -> Outlook | None:
    known = counter(folder, "ask answer filler " + " ".join(f"w{n}" for n in range(6)))
    model = ResolvedModel("tiny", str(folder), Contract())
    monkeypatch.setattr(module, "counter_of", lambda _model: known)
    monkeypatch.setattr(module, "resolve", lambda *_: model)
    reader = FakeReader(splits)
    workspace: Any = SimpleNamespace(datasets=SimpleNamespace(read=lambda *_: reader))
    about = {"kind": "embedding", "on_pairs": False, "dataset": "d", "dataset_version": None}
    recipe: Any = SimpleNamespace(**about | {"model": "tiny", "seed": 0} | changed)
    return before(workspace, recipe)


def test_queries_words_and_tokens_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(tmp_path, monkeypatch, {"train": TRAIN, "test": [("ask else", ["answer"], [])]})
    assert found is not None
    assert (found.queries, found.positives, found.several) == (6, 2.0, 1.0)
    assert found.bm25 == 1.0
    assert found.unknown < 0.1
    lines = found.lines()
    assert lines[0] == "6 judged queries in train and dev, 2 relevant documents each on average"
    assert lines[1] == "BM25 alone: MAP@100 1.000 over 13 documents"
    assert lines[2].startswith("queries: median 2 tokens, 90% have at most 2; 0.0% of the tokens")
    assert found.to_dict()["warnings"] == []


def test_texts_that_the_base_cannot_read_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = told(tmp_path, monkeypatch, {"train": CHINESE})
    assert found is not None
    (said,) = found.warnings()
    assert said.startswith("100% of your tokens are unknown to this model; BM25 alone has MAP ")
    assert found.lines()[-1] == f"! {said}"


def test_what_a_look_is_not_for_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told(tmp_path, monkeypatch, {"train": TRAIN}, kind="reranker") is None
    assert told(tmp_path, monkeypatch, {"train": TRAIN}, on_pairs=True) is None
    assert told(tmp_path, monkeypatch, {"test": TRAIN}) is None
