"""What is said of the data before a run: by the tokenizer and BM25 alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workbench.auto.test_take import BagOfWords, counter
from tests.workbench.training.fakes import FakeReader, FakeWorkspace
from workbench.auto import outlook as module
from workbench.auto.outlook import Outlook, before
from workbench.auto.take import taken
from workbench.evaluation.own_document import AUTO
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel

TRAIN = [(f"ask w{n}", [f"answer w{n}", f"filler w{n}"], []) for n in range(6)]
CHINESE = [
    (f"北京第{n}", [f"北京是中国的首都，有三千多年的历史，第{n}个答案。"], []) for n in range(6)
]


def told(
    folder: Path, monkeypatch: pytest.MonkeyPatch, splits: Any, **changed: Any
) -> Outlook | None:
    (folder / "tiny").mkdir(exist_ok=True)
    known = counter(folder / "tiny", "ask answer filler " + " ".join(f"w{n}" for n in range(6)))
    model = ResolvedModel("tiny", str(folder / "tiny"), Contract())
    monkeypatch.setattr(module, "counter_of", lambda _model: known)
    monkeypatch.setattr(module, "resolve", lambda *_: model)
    reader = FakeReader(splits)
    workspace: Any = FakeWorkspace(folder / "home", reader)
    about = {"kind": "embedding", "on_pairs": False, "dataset": "pets", "dataset_version": None}
    about |= {"task": "train-embedding", "model": "tiny", "seed": 0, "max_rows": None}
    about |= {"exclude_query_document": AUTO, "decides": ()}
    recipe: Any = SimpleNamespace(**about | changed)
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


def test_a_look_that_was_taken_tells_what_to_expect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept by a run, found by the check that is asked before the next one."""
    auto: Any = {"decides": ("serving_length",)}
    first = told(tmp_path, monkeypatch, {"train": TRAIN}, **auto)
    assert first is not None and (first.looks, first.forecast) == (True, None)
    assert first.lines()[-1] == module.LOOKS_FIRST
    taken(
        FakeReader({"train": TRAIN}),  # type: ignore[arg-type]
        lambda: BagOfWords(Contract()),
        ResolvedModel("tiny", str(tmp_path / "tiny"), Contract()),
        Contract(),
        home=tmp_path / "home",
        dataset_id="set1",
        folder=tmp_path / "job",
    )
    found = told(tmp_path, monkeypatch, {"train": TRAIN}, **auto)
    assert found is not None and found.forecast is not None
    assert found.lines()[-1].startswith("Expected from the look: about +")
    assert found.to_dict()["forecast"] == found.forecast
    other = told(tmp_path, monkeypatch, {"train": TRAIN}, **auto, seed=1)
    assert other is not None and other.forecast is None


def test_a_run_as_written_is_not_forecast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = told(tmp_path, monkeypatch, {"train": TRAIN})
    assert found is not None and not found.looks
    assert not any("expect" in line.lower() for line in found.lines())
