"""Whose time is taken, and where is searched."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from workbench.evaluation import exact_search, measure
from workbench.evaluation.cached import CachedEncoder
from workbench.evaluation.encoding_cache import EncodingCache
from workbench.evaluation.measure import Clock, retrieve
from workbench.evaluation.pool import Pool
from workbench.models.contract import Contract


def test_what_is_done_once_for_all_documents_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(measure, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def blocks() -> Iterator[int]:
        for block in range(3):
            now[0] += 100
            yield block

    clock = Clock()
    with clock.running("encode"):
        now[0] += 7
    with clock.running("search"):
        for _ in clock.without("search", blocks()):
            now[0] += 1
    assert clock.seconds == {"encode": 7.0, "search": 3.0}


class OnGpu:
    contract = Contract()
    device = "cuda:1"

    def encode(self, texts: Any, _role: str, **_: Any) -> Any:
        return np.array([[len(text), 1.0] for text in texts], np.float32)


def test_the_search_is_where_the_model_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through the memory of what was encoded, too; an encoder that names no device stays here."""
    seen = []

    def screen_for(queries: Any, device: str) -> Any:
        seen.append(device)
        return exact_search.Fp32(queries)

    monkeypatch.setattr(exact_search, "screen_for", screen_for)
    table = pa.table({"title": ["", ""], "text": ["one", "three"]})
    pool = Pool(
        queries=np.array([0]),
        texts=["ask"],
        judgments={0: {1: 1}},
        documents=2,
        blocks=lambda: iter([(np.arange(2), table)]),
        places=lambda: np.arange(2),
    )
    cached = CachedEncoder(OnGpu(), EncodingCache(tmp_path), "it", {"dimensions": 2})
    nowhere = SimpleNamespace(contract=Contract(), encode=OnGpu().encode)
    for encoder in (OnGpu(), cached, nowhere):
        run = retrieve(encoder, pool, k=2)
        assert run.documents.tolist() == [[1, 0]]
    assert seen == ["cuda:1", "cuda:1", "cpu"]
