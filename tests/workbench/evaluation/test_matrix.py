"""The pipeline matrix with models that are worked out by hand, in a real workspace."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.evaluation import test_stages
from tests.workbench.evaluation.test_stages import ASKED, DATA, MODELS, PLAIN, WRONG, Make
from workbench.comparison.matrix import MEASURED, to_markdown, to_published, to_text
from workbench.errors import BadInput, BadRecipe, JobCancelled
from workbench.evaluation import stages
from workbench.evaluation.cached import CachedEncoder
from workbench.evaluation.encoding_cache import EncodingCache
from workbench.evaluation.job import run, run_matrix
from workbench.evaluation.metrics import cut_scores
from workbench.prepare import prepare
from workbench.recipes.evaluate import EvaluateRecipe, MatrixRecipe

make: Callable[..., Any] = test_stages.make


def recipe(retrievers: list[str], **values: Any) -> MatrixRecipe:
    about = {"dataset": "pets", "split": "dev", "retrievers": retrievers, "candidates": 10}
    return MatrixRecipe.read({**about, **values})


def cells(result: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["retriever"], row["reranker"]): row for row in result["rows"]}


def test_every_pipeline_at_every_top_k(make: Make) -> None:
    context = make(DATA)
    asked = recipe(["bm25", "embed"], rerankers=["right", "wrong", "late"], top_k=4)
    result = run_matrix(asked, context)
    assert json.loads(json.dumps(result)) == result
    assert [(row["retriever"], row["reranker"]) for row in result["rows"]] == [
        (first, second) for first in ("bm25", "embed") for second in ("", "right", "wrong", "late")
    ]
    found = cells(result)
    # BM25 has the right document fourth, after three wrong ones.
    alone = found["bm25", ""]
    assert [one["hit_rate"] for one in alone["top"]] == [0, 0, 0, 1]
    assert alone["top"][3]["mrr"] == pytest.approx(0.25)
    assert alone["top"][3]["map"] == pytest.approx(0.25)
    assert alone["top"][3]["ndcg"] == pytest.approx(1 / np.log2(5))
    for second in ("right", "late"):
        assert found["bm25", second]["top"][0] == {"k": 1, **dict.fromkeys(MEASURED, 1.0)}
    assert found["embed", "wrong"]["top"][0]["hit_rate"] == 0
    assert (
        alone["evaluation_mode"] == "retrieval"
        and found["bm25", "right"]["evaluation_mode"] == "pipeline"
    )
    assert result["queries"] == ASKED


def test_times_are_of_each_stage_and_add_up(make: Make) -> None:
    found = cells(run_matrix(recipe(["bm25", "embed"], rerankers=["right"]), make(DATA)))
    stages = {key: set(row["milliseconds"]) - {"total"} for key, row in found.items()}
    assert stages == {
        ("bm25", ""): {"search"},
        ("bm25", "right"): {"search", "rerank"},
        ("embed", ""): {"encode", "search"},
        ("embed", "right"): {"encode", "search", "rerank"},
    }
    for row in found.values():
        took = row["milliseconds"]
        total = sum(took[stage] for stage in took if stage != "total")
        assert took["total"] == pytest.approx(total) and all(ms > 0 for ms in took.values())
    # A retriever searches once, whatever comes after it.
    assert (
        found["embed", "right"]["milliseconds"]["search"]
        == found["embed", ""]["milliseconds"]["search"]
    )


def test_what_decides_a_time_is_never_read_from_disk(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[str, int]] = []

    class Counting(test_stages.Embedding):
        device = "cpu"

        def encode(self, texts: Any, role: str, **_: Any) -> Any:
            asked.append((role, len(texts)))
            return super().encode(texts, role)

    class Kept(CachedEncoder):
        contract = test_stages.Embedding.contract

        def __init__(self) -> None:
            how = {"weights": "w", "precision": "fp32", "device": "cpu", "dimensions": ASKED}
            super().__init__(Counting(), EncodingCache(tmp_path, limit=10**9), "embed", how)

    def with_cache(model: Any, _resolved: Any, _workspace: Any, use: bool) -> Any:
        assert not use
        return model

    monkeypatch.setitem(MODELS, "embed", Kept)
    monkeypatch.setattr(stages, "with_cache", with_cache)
    for documents in (len(PLAIN) + len(WRONG), 0):
        asked.clear()
        run_matrix(recipe(["embed"], rerankers=["right"]), make(DATA))
        # One more query, before the clock runs: it pays for what is loaded on first use.
        assert sum(count for role, count in asked if role == "query") == ASKED + 1
        assert sum(count for role, count in asked if role == "document") == documents


def test_what_computes_the_queries_is_measured_before_the_clock_runs(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    class Fast(test_stages.Embedding):
        def encode(self, texts: Any, role: str, **_: Any) -> Any:
            done.append(f"{role} {len(texts)}")
            return super().encode(texts, role)

    class Measured(test_stages.Embedding):
        def with_engines(self, *_: Any, **__: Any) -> Any:
            raise AssertionError("it is loaded with them")

        def computed(self, texts: Any, role: str, stop: Any) -> Any:
            stop()
            done.append(f"measured {role} {len(texts)}")
            return Fast()

    class Timed(stages.Clock):
        def running(self, stage: str) -> Any:
            done.append(stage)
            return super().running(stage)

    monkeypatch.setitem(MODELS, "embed", Measured)
    monkeypatch.setattr(stages, "Clock", Timed)
    run_matrix(recipe(["embed"]), make(DATA))
    assert done == [f"measured query {ASKED}", "query 1", "encode", f"query {ASKED}", "search"]


def test_each_reranker_scores_each_candidate_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored: list[int] = []

    class Counting(test_stages.Reranker):
        def score(self, queries: Any, documents: Any, pairs: Any, **more: Any) -> Any:
            scored.append(len(pairs))
            return super().score(queries, documents, pairs, **more)

    monkeypatch.setitem(MODELS, "right", Counting)
    run_matrix(recipe(["embed"], rerankers=["right"], top_k=5, candidates=7), make(DATA))
    assert scored == [ASKED * 7]


def test_it_measures_as_an_evaluation_does_and_is_kept(make: Make) -> None:
    context = make(DATA)
    result = run_matrix(recipe(["bm25", "embed"], rerankers=["wrong"]), context)
    kept = [context.workspace.evaluations.get(id) for id in result["evaluations"]]
    settings = {"dataset": "pets", "split": "dev", "models": ["bm25", "embed"]}
    same = EvaluateRecipe.read({**settings, "rerankers": ["wrong"], "candidates": 10})
    rows = {row["model"]: row for row in run(same, context)["rows"]}
    for one in kept:
        for metric, value in one.metrics.items():
            assert rows[one.model][metric] == pytest.approx(value)
    assert [one.model for one in kept] == ["bm25", "bm25 + wrong", "embed", "embed + wrong"]


def test_the_tables(make: Make) -> None:
    result = run_matrix(recipe(["bm25", "embed"], rerankers=["wrong"], top_k=2), make(DATA))
    published = to_published(result).splitlines()
    assert published[0] == "| Retriever | Reranker | Metric | top_1 | top_2 |"
    assert "| embed | none | hit_rate | 1.0000 | 1.0000 |" in published
    assert "| embed | wrong | mrr | 0.0000 | 0.0000 |" in published
    # Below the table stand the lengths of its models.
    assert len(published) == 2 + 2 * 4 + 2 and published[-1].startswith("Texts are truncated: ")
    markdown = to_markdown(result).splitlines()
    assert "Hit rate@2" in markdown[0] and "ms per query" in markdown[0]
    assert "| embed | none | **1.000** |" in to_markdown(result)
    assert "MRR@1 " in to_markdown(result, 1)
    # A line for every pipeline and every k, below a title and a head; then the lengths.
    assert len(to_text(result).splitlines()) == 2 + 2 * 4 + 1


def test_cutoffs_divide_by_all_that_is_relevant() -> None:
    ranked = np.array([[5, 1, 2], [9, -1, -1]])
    judged = {0: {1: 2, 2: 1, 7: 1}, 1: {8: 1}}
    one, three = cut_scores([0, 1], ranked, judged, [1, 3])
    assert one == {"k": 1, **dict.fromkeys(MEASURED, 0.0)}
    assert three["hit_rate"] == pytest.approx(0.5)
    assert three["mrr"] == pytest.approx(0.25)
    assert three["map"] == pytest.approx((1 / 2 + 2 / 3) / 3 / 2)


def test_stopping_leaves_nothing(make: Make) -> None:
    context = make(DATA)
    context.cancelled = True
    with pytest.raises(JobCancelled):
        run_matrix(recipe(["embed"]), context)
    assert context.workspace.evaluations.list() == []


def test_what_cannot_be_is_refused_at_the_click(make: Make) -> None:
    workspace = make(DATA).workspace
    with pytest.raises(BadInput, match="no embedding model"):
        prepare(recipe(["right"]), workspace)
    with pytest.raises(BadInput, match="neither a reranker"):
        prepare(recipe(["bm25"], rerankers=["embed"]), workspace)
    with pytest.raises(BadRecipe, match="fewer than the 20"):
        recipe(["bm25"], top_k=20)
    ready = prepare(recipe(["BM25", "bm25"]), workspace)
    assert ready.retrievers == ["bm25"] and ready.dataset_version == 1
