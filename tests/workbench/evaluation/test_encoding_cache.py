"""Kept encodings: what is found again, what must not be, and what is left when things go wrong."""

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.data.digests import of_bytes
from workbench.errors import BadInput, JobCancelled
from workbench.evaluation import cached
from workbench.evaluation.cached import CachedEncoder, contract_key, weights_digest
from workbench.evaluation.encoding_cache import LIMIT_VARIABLE, SUFFIX, EncodingCache, limit_bytes
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel

HOW = {"weights": "w", "precision": "fp32", "device": "cpu", "dimensions": 4}
TEXTS = [f"text {number}" for number in range(50)]
BIG = 10**9


class Counting:
    """Encodes a text as four numbers of its digest, and remembers what it was asked."""

    device = "cpu"

    def __init__(self, contract: Contract | None = None, broken_at: str = "") -> None:
        self.contract = contract or Contract()
        self.asked: list[str] = []
        self.broken_at = broken_at

    def encode(self, texts: list[str], role: Any, *, progress: Any = None, stop: Any = None) -> Any:
        if self.broken_at and self.broken_at in texts:
            raise JobCancelled("stopped")
        self.asked += texts
        if progress:
            progress(len(texts), len(texts))
        return vectors_of(texts)


def vectors_of(texts: list[str]) -> Any:
    joined = of_bytes([text.encode() for text in texts]).view(np.uint16).reshape(len(texts), 8)
    return (joined[:, :4] / 65536).astype(np.float32)


def encoder(home: Path, inner: Counting | None = None, limit: int = BIG, **how: Any) -> Any:
    cache = EncodingCache(home, limit=limit)
    return CachedEncoder(inner or Counting(), cache, "tiny", HOW | how)


def parts(home: Path) -> list[Path]:
    return sorted((home / "cache/encodings").glob(f"*/*{SUFFIX}"))


def test_a_second_use_encodes_only_what_is_new(tmp_path: Path) -> None:
    first = encoder(tmp_path).encode(TEXTS, "document")
    inner, seen = Counting(), list[tuple[int, int]]()
    # Another version of the data: other order, one text removed, two added, one twice.
    texts = [*TEXTS[:0:-1], "new", "newer", TEXTS[7]]
    again = encoder(tmp_path, inner).encode(
        texts, "document", progress=lambda *counts: seen.append(counts)
    )
    assert inner.asked == ["new", "newer"]
    assert (again == vectors_of(texts)).all() and (first == vectors_of(TEXTS)).all()
    assert seen == [(50, 52), (52, 52)]
    third = Counting()
    encoder(tmp_path, third).encode(texts, "document")
    assert third.asked == []


def test_a_model_at_another_length_keeps_each_length_apart(tmp_path: Path) -> None:
    class AtLengths(Counting):
        def with_contract(self, contract: Contract) -> "AtLengths":
            made = AtLengths(contract)
            made.asked = self.asked
            return made

    inner = AtLengths()
    base = encoder(tmp_path, inner)
    short = base.with_contract(Contract(passage_max_len=128))
    short.encode(TEXTS, "document")
    base.encode(TEXTS, "document")
    assert len(inner.asked) == 2 * len(TEXTS)
    base.with_contract(Contract(passage_max_len=128)).encode(TEXTS, "document")
    short.encode(TEXTS, "query")
    base.encode(TEXTS, "query")
    assert len(inner.asked) == 3 * len(TEXTS), "queries are the same at every length of passages"


def test_queries_and_documents_are_kept_apart(tmp_path: Path) -> None:
    encoder(tmp_path).encode(TEXTS, "document")
    inner = Counting()
    encoder(tmp_path, inner).encode(TEXTS, "query")
    assert inner.asked == TEXTS


contracts = st.builds(
    Contract,
    pooling=st.sampled_from(["mean", "cls", "lasttoken"]),
    normalize=st.booleans(),
    causal=st.booleans(),
    query_prompt=st.sampled_from(["", "query: ", "passage: "]),
    document_prompt=st.sampled_from(["", "query: ", "passage: "]),
    title_separator=st.sampled_from([" ", "\n"]),
    query_max_len=st.sampled_from([32, 64]),
    passage_max_len=st.sampled_from([32, 64]),
    dimensions=st.sampled_from([0, 4]),
    quantization=st.sampled_from(["", "nf4"]),
    dtype=st.sampled_from(["float32", "bfloat16"]),
    base_model=st.sampled_from(["", "a", "b"]),
    dataset_version=st.sampled_from([None, 1]),
)
hows = st.fixed_dictionaries(
    {
        "weights": st.sampled_from(["a", "b"]),
        "precision": st.sampled_from(["fp32", "bf16"]),
        "device": st.sampled_from(["cpu", "cuda"]),
        "dimensions": st.just(4),
    }
)


@settings(max_examples=200, deadline=None)
@given(contracts, contracts, hows, hows, st.sampled_from(["query", "document"]))
def test_another_way_of_using_a_model_never_meets_an_old_entry(
    one: Contract, other: Contract, how: Any, otherwise: Any, role: str
) -> None:
    same = how == otherwise and _decides(one, role) == _decides(other, role)
    assert (contract_key(one, role, how) == contract_key(other, role, otherwise)) == same


def _decides(contract: Contract, role: str) -> Any:
    """Written out: what a text of that role is read and pooled by."""
    own = (
        (contract.query_prompt, contract.query_max_len)
        if role == "query"
        else (contract.document_prompt, contract.passage_max_len)
    )
    about = (contract.pooling, contract.normalize, contract.causal, contract.title_separator)
    return *own, *about, contract.dimensions, contract.quantization, contract.dtype


@pytest.mark.parametrize(
    "change", [{"document_prompt": "passage: "}, {"passage_max_len": 64}, {"normalize": False}]
)
def test_a_changed_contract_is_encoded_anew(tmp_path: Path, change: dict[str, Any]) -> None:
    encoder(tmp_path).encode(TEXTS, "document")
    inner = Counting(Contract(**change))
    encoder(tmp_path, inner).encode(TEXTS, "document")
    assert inner.asked == TEXTS
    other_weights = Counting()
    encoder(tmp_path, other_weights, weights="others").encode(TEXTS, "document")
    assert other_weights.asked == TEXTS


def test_the_same_folder_with_other_weights_is_another_model(tmp_path: Path) -> None:
    def digest(base: ResolvedModel | None = None) -> str:
        return weights_digest(ResolvedModel("m", str(tmp_path), Contract(), base=base))

    (tmp_path / "model.safetensors").write_bytes(b"\0" * 1000)
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling/config.json").write_text('{"dimension": 4}')
    before, date = digest(), (tmp_path / "model.safetensors").stat().st_mtime_ns
    (tmp_path / "README.md").write_text("A card.")
    (tmp_path / "contract.json").write_text("{}")
    assert digest() == before
    (tmp_path / "model.safetensors").write_bytes(b"\0" * 999 + b"\1")
    os.utime(tmp_path / "model.safetensors", ns=(date, date))
    changed = digest()
    (tmp_path / "1_Pooling/config.json").write_text('{"dimension": 8}')
    assert len({before, changed, digest()}) == 3
    base = ResolvedModel("base", str(tmp_path), Contract())
    assert digest(base) != digest()


def test_a_stopped_job_goes_on_from_the_pieces_that_are_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached, "PIECE", 10)
    stopped = Counting(broken_at=TEXTS[35])
    with pytest.raises(JobCancelled):
        encoder(tmp_path, stopped).encode(TEXTS, "document")
    assert stopped.asked == TEXTS[:30]
    inner = Counting()
    found = encoder(tmp_path, inner).encode(TEXTS, "document")
    assert inner.asked == TEXTS[30:] and (found == vectors_of(TEXTS)).all()


@pytest.mark.parametrize("damage", ["cut", "bits", "empty", "words"])
def test_a_broken_file_is_encoded_again_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any, damage: str
) -> None:
    monkeypatch.setattr(cached, "PIECE", 25)
    encoder(tmp_path).encode(TEXTS, "document")
    path = parts(tmp_path)[0]
    whole = path.read_bytes()
    flipped = whole[:-1] + bytes([whole[-1] ^ 1])
    path.write_bytes({"cut": whole[:-9], "bits": flipped, "empty": b"", "words": b"no"}[damage])
    inner = Counting()
    with caplog.at_level(logging.WARNING):
        found = encoder(tmp_path, inner).encode(TEXTS, "document")
    assert len(inner.asked) == 25 and (found == vectors_of(TEXTS)).all()
    assert "broken" in caplog.text and not path.exists()
    last = Counting()
    encoder(tmp_path, last).encode(TEXTS, "document")
    assert last.asked == []


def test_vectors_that_are_no_numbers_are_not_kept(tmp_path: Path) -> None:
    class Broken(Counting):
        def encode(self, texts: list[str], role: Any, **options: Any) -> Any:
            return np.full((len(texts), 4), np.nan, np.float32)

    assert np.isnan(encoder(tmp_path, Broken()).encode(TEXTS, "document")).all()
    assert parts(tmp_path) == []


def test_what_was_unused_for_longest_makes_room(tmp_path: Path) -> None:
    for number, role in enumerate(("query", "document")):
        encoder(tmp_path).encode(TEXTS, role)
        for path in parts(tmp_path):
            at = time.time() - 1000 + 100 * number
            os.utime(path, (at, at))
    size = sum(path.stat().st_size for path in parts(tmp_path))
    # Using the older one makes it the newer.
    encoder(tmp_path).encode(TEXTS, "query")
    other = [f"other {number}" for number in range(50)]
    encoder(tmp_path, limit=size + 1000).encode(other, "query")
    inner = Counting()
    encoder(tmp_path, inner).encode(TEXTS, "query")
    encoder(tmp_path, inner).encode(other, "query")
    assert inner.asked == []
    encoder(tmp_path, inner).encode(TEXTS, "document")
    assert inner.asked == TEXTS


def test_a_run_does_not_push_out_what_it_needs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    monkeypatch.setattr(cached, "PIECE", 10)
    with caplog.at_level(logging.WARNING):
        encoder(tmp_path, limit=2_500).encode(TEXTS, "document")
    assert caplog.text.count("full") == 1
    kept = len(parts(tmp_path))
    assert 0 < kept < 5 and EncodingCache(tmp_path).bytes() <= 2_500
    inner = Counting()
    encoder(tmp_path, inner, limit=2_500).encode(TEXTS, "document")
    assert inner.asked == TEXTS[10 * kept :]


def test_several_writers_and_one_that_clears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cached, "PIECE", 5)
    outcomes: list[str] = []

    # Threads stand for processes here: they have nothing in common but the folder.
    def work() -> None:
        for _ in range(5):
            try:
                found = encoder(tmp_path).encode(TEXTS, "document")
            except Exception as error:  # noqa: BLE001  # A thread's own would go unnoticed.
                outcomes.append(repr(error))
            else:
                outcomes.append("right" if (found == vectors_of(TEXTS)).all() else "wrong")

    workers = [threading.Thread(target=work) for _ in range(3)]
    for one in workers:
        one.start()
    while any(one.is_alive() for one in workers):
        EncodingCache(tmp_path).clear()
    for one in workers:
        one.join()
    assert outcomes == ["right"] * 15


def test_show_and_clear(tmp_path: Path) -> None:
    encoder(tmp_path).encode(TEXTS, "document")
    encoder(tmp_path).encode(TEXTS[:3], "query")
    cache = EncodingCache(tmp_path)
    shown = {one.about["role"]: one.texts for one in cache.show()}
    assert shown == {"document": 50, "query": 3}
    assert cache.bytes() == sum(one.bytes for one in cache.show()) > 0
    assert cache.clear("another") == 0
    assert cache.clear("tiny") > 0 and cache.show() == []


def test_the_limit_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "1.5")
    assert limit_bytes() == 1_500_000_000
    monkeypatch.setenv(LIMIT_VARIABLE, "much")
    with pytest.raises(BadInput, match="no size"):
        limit_bytes()
    monkeypatch.delenv(LIMIT_VARIABLE)
    assert limit_bytes() == 20 * 10**9
