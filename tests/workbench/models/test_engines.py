"""Which engine computes an embedding model: measured, within the bound, kept, overridden."""

import json
import logging
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeWorkspace
from workbench.errors import BadInput, JobCancelled
from workbench.models import engine_choice, engines, precision
from workbench.models.engines import usable, usual
from workbench.models.inference import computed, least_cosine, spread
from workbench.models.load import PRECISION_VARIABLE, LoadedEmbedding, load_embedding
from workbench.models.locate import locate
from workbench.models.precision import (
    BF16_WEIGHTS,
    ENGINE_VARIABLE,
    FP32,
    OPENVINO,
    TORCH,
    decisions,
    forced,
    keep,
    kept,
    told,
)

# Importing sentence-transformers takes 6 to 11 seconds.
pytestmark = pytest.mark.slow

TEXTS = ["the quick brown fox", "a lazy dog sat on the mat", "the cat", "fox " * 40, "", "dog"] * 12


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("bert") / "tiny")


@pytest.fixture
def plain(home: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedEmbedding:
    """In bf16, whatever this machine would choose; so small a model is measured all the same."""
    monkeypatch.delenv(ENGINE_VARIABLE, raising=False)
    monkeypatch.setattr(engine_choice, "_QUICKEST", 0.0)
    workspace: Any = FakeWorkspace(home)
    return load_embedding(locate(workspace, str(checkpoint)), device="cpu", precision="bf16")


def with_times(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> list[str]:
    """Each engine takes what it is told; the names of those that were made, in turn."""
    made: list[str] = []
    fake = {"torch": 1.0, "torch_bf16": 1.0, "openvino": 1.0} | seconds
    # Others' share of the machine is that of this moment.
    monkeypatch.setattr(engine_choice, "_worked", lambda: 0.0)
    names: dict[int, str] = {}

    def maker(name: str, plain: Any) -> Any:
        def make(loaded: Any, use: Any) -> Any:
            made.append(name)
            found = plain(loaded, use)
            names[id(found.model)] = name
            return found

        return make

    monkeypatch.setattr(
        engine_choice, "MAKE", {name: maker(name, one) for name, one in engines.MAKE.items()}
    )
    monkeypatch.setattr(
        engine_choice,
        "_one_by_one",
        lambda loaded, *_: (fake[names[id(loaded.model)].replace("-", "_")],) * 2,
    )
    return made


@pytest.mark.parametrize("name", [BF16_WEIGHTS, OPENVINO])
@pytest.mark.parametrize("use", ["texts", "questions"])
def test_an_engine_gives_what_fp32_gives(
    plain: LoadedEmbedding, name: str, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {key: one.clone() for key, one in plain.model.state_dict().items()}
    exact = replace(plain, precision="fp32").encode(TEXTS, "document")
    made = engines.MAKE[name](plain, use)
    found = made.encode(TEXTS, "document", batch_size=5)
    assert found.dtype == np.float32 and found.shape == exact.shape
    assert least_cosine(found, exact) > 0.999
    assert not np.array_equal(found, exact) or name == OPENVINO
    after = plain.model.state_dict()
    assert all(torch.equal(after[key], one) for key, one in before.items())
    assert {one.dtype for one in plain.model.parameters()} == {torch.float32}


def test_openvino_in_fp32_is_fp32(plain: LoadedEmbedding) -> None:
    exact = replace(plain, precision="fp32")
    made = engines.MAKE[OPENVINO](exact, "texts")
    found = made.encode(TEXTS, "query")
    np.testing.assert_allclose(found, exact.encode(TEXTS, "query"), atol=2e-5)


def test_the_fastest_is_taken_and_kept(
    plain: LoadedEmbedding,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    made = with_times(monkeypatch, torch=1.0, torch_bf16=0.5, openvino=0.7)
    quick = plain.with_engines(home, "digest", "tiny", worth=len(TEXTS))
    first = quick.encode(TEXTS, "document")
    assert made == [TORCH, BF16_WEIGHTS, OPENVINO]
    (decision,) = kept(home).values()
    assert decision["engine"] == BF16_WEIGHTS
    rates = {name: took / decision["seconds"][TORCH] for name, took in decision["seconds"].items()}
    assert rates == {TORCH: 1.0, BF16_WEIGHTS: 0.5, OPENVINO: pytest.approx(0.7)}
    assert "Texts for 'tiny' are encoded by torch-bf16" in caplog.text
    assert decision["tries"] == 1
    assert decisions(home, "tiny", since=decision["at"]) == [decision]
    assert decisions(home, "tiny", since=decision["at"] + 1) == decisions(home, "other", 0) == []
    # Another process, with few texts: nothing is measured, the same is taken.
    made.clear()
    again = plain.with_engines(home, "digest", "tiny").encode(TEXTS[:3], "document")
    assert made == [BF16_WEIGHTS]
    assert least_cosine(again, first[:3]) > 0.9999
    # Another model's files, another precision and another use are decided by themselves.
    for other in (
        plain.with_engines(home, "else", "tiny"),
        replace(plain, precision="fp32").with_engines(home, "digest", "tiny"),
        plain.with_engines(home, "digest", "tiny", use="questions"),
    ):
        made.clear()
        other.encode(TEXTS[:3], "document")
        assert made == []


def test_what_is_too_far_from_fp32_is_refused(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 1.1)
    with_times(monkeypatch, torch_bf16=0.1, openvino=0.1)
    exact = replace(plain, precision="fp32").encode(TEXTS, "document")
    # Half precision by torch as well: what is left is fp32.
    for _ in ("measured", "kept"):
        quick = plain.with_engines(home, "digest", "tiny", worth=1)
        np.testing.assert_array_equal(quick.encode(TEXTS, "document"), exact)
    (decision,) = kept(home).values()
    assert decision["engine"] == FP32
    assert decision["refused"].keys() == {TORCH, BF16_WEIGHTS, OPENVINO}
    assert "cosine" in decision["refused"][OPENVINO]


def test_an_engine_that_fails_is_left_out_with_its_reason(
    plain: LoadedEmbedding,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fails(*_: Any) -> Any:
        raise RuntimeError("no such instruction")

    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    monkeypatch.setattr(engine_choice, "MAKE", engines.MAKE | {OPENVINO: fails})
    quick = plain.with_engines(home, "digest", "tiny", worth=1)
    assert quick.encode(TEXTS, "document").shape == (len(TEXTS), 32)
    (key,), (decision,) = kept(home).keys(), kept(home).values()
    assert decision["refused"] == {OPENVINO: "RuntimeError: no such instruction"}
    # One that was chosen, and no longer works, is done without: the next best takes its place.
    seconds = {TORCH: 1.0, BF16_WEIGHTS: 2.0, OPENVINO: 0.1}
    keep(home, key, decision | {"engine": OPENVINO, "seconds": seconds, "refused": {}, "others": 0})
    caplog.clear()
    heard: list[str] = []
    later = plain.with_engines(home, "digest", "tiny", tell=heard.append)
    np.testing.assert_array_equal(later.encode(TEXTS, "query"), plain.encode(TEXTS, "query"))
    for said in (caplog.text, *heard):
        assert "'tiny' are encoded by torch on" in said
        assert "openvino was not taken: RuntimeError: no such instruction." in said
    assert len(heard) == 1


@pytest.mark.parametrize("wanted", [TORCH, BF16_WEIGHTS, OPENVINO])
def test_the_variable_overrides(
    plain: LoadedEmbedding, home: Path, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_VARIABLE, wanted)
    made = with_times(monkeypatch)
    quick = plain.with_engines(home, "digest", "tiny", worth=1)
    quick.encode(TEXTS, "document")
    assert made == ([] if wanted == TORCH else [wanted])
    assert kept(home) == {}
    monkeypatch.setenv(ENGINE_VARIABLE, "abacus")
    with pytest.raises(BadInput, match="abacus"):
        forced()


def test_a_chosen_engine_obeys_another_contract(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_VARIABLE, OPENVINO)
    quick = plain.with_engines(home, "digest", "tiny")
    assert quick.encode(TEXTS, "query").shape == (len(TEXTS), 32)
    other = plain.contract.model_copy(update={"query_prompt": "the fox ", "query_max_len": 8})
    found = quick.with_contract(other).encode(TEXTS, "query")
    expected = replace(plain, precision="fp32").with_contract(other).encode(TEXTS, "query")
    assert least_cosine(found, expected) > 0.999
    assert least_cosine(found, quick.encode(TEXTS, "query")) < 0.99


def test_a_graph_reads_no_longer_texts_than_it_should(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_VARIABLE, OPENVINO)
    quick = plain.with_engines(home, "digest", "tiny", worth=1)
    quick.encode(TEXTS[:3], "query")
    long = plain.contract.model_copy(update={"passage_max_len": 2048})
    assert quick.engines is not None
    for contract, is_graph in ((plain.contract, True), (long, False)):
        asked = quick.engines.of(quick.with_contract(contract), TEXTS, "document")
        assert isinstance(asked.model[0].model, engines.OpenVinoForward) == is_graph


def test_a_measurement_can_be_stopped(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = with_times(monkeypatch)
    quick = plain.with_engines(home, "digest", "tiny", worth=1)

    def stop() -> None:
        raise JobCancelled("stopped")

    with pytest.raises(JobCancelled):
        quick.encode(TEXTS, "document", stop=stop)
    assert made == [] and kept(home) == {}


def test_a_ranking_can_be_stopped_and_an_engine_that_fails_in_it_is_left_out(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    with_times(monkeypatch, torch=1.0, torch_bf16=0.5, openvino=0.7)
    stopped = False

    def stop() -> None:
        if stopped:
            raise JobCancelled("stopped")

    def rank(encoder: Any, _most: int, asked: Any) -> tuple[float, int]:
        nonlocal stopped
        if isinstance(encoder.model[0].model, engines.Bf16Forward):
            stopped = cancelled
            asked()
            raise RuntimeError("no such shape")
        return 0.5, 9

    cancelled = True
    quick = plain.with_engines(home, "digest", "tiny", worth=1, rank=rank)
    with pytest.raises(JobCancelled):
        quick.encode(TEXTS, "document", stop=stop)
    assert kept(home) == {}
    cancelled = stopped = False
    quick.encode(TEXTS, "document", stop=stop)
    (decision,) = kept(home).values()
    assert decision["engine"] == OPENVINO
    assert decision["refused"] == {BF16_WEIGHTS: "RuntimeError: no such shape"}


def test_weights_alone_are_halved() -> None:
    """Frequencies of rotary positions keep all their digits, or long texts are read wrongly."""
    from transformers import Qwen2Config, Qwen2Model

    shape = {"vocab_size": 50, "hidden_size": 32, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 32}
    model = Qwen2Model(Qwen2Config(**shape, **heads))
    found = engines.Bf16Forward(model, torch.bfloat16)
    assert {one.dtype for one in found.parameters()} == {torch.bfloat16}
    buffers = {one.dtype for one in found.buffers() if one.is_floating_point()}
    assert buffers == {torch.float32}
    assert {one.dtype for one in model.parameters()} == {torch.float32}


def test_what_is_no_fp32_transformer_stays_with_torch(plain: LoadedEmbedding) -> None:
    assert usable(plain) == [TORCH, BF16_WEIGHTS, OPENVINO]
    assert usable(replace(plain, precision="fp32")) == [TORCH, OPENVINO]
    assert usable(replace(plain, device="cuda:0")) == [TORCH, BF16_WEIGHTS]
    longer = plain.contract.model_copy(update={"passage_max_len": 8192})
    assert usable(plain.with_contract(longer)) == [TORCH, BF16_WEIGHTS]
    stored = plain.contract.model_copy(update={"weights": "bf16"})
    assert usable(plain.with_contract(stored)) == [TORCH]


def test_what_moves_the_ranking_of_judged_documents_is_refused(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    with_times(monkeypatch, torch=1.0, torch_bf16=0.5, openvino=0.7)
    asked: list[tuple[str, int]] = []

    def rank(encoder: Any, most: int, _stop: Any) -> tuple[float, int]:
        forward = type(encoder.model[0].model).__name__
        asked.append((forward, most))
        return {"Bf16Forward": 0.497, "OpenVinoForward": 0.5019}.get(forward, 0.5), 77

    heard: list[str] = []
    how: dict[str, Any] = {"tell": heard.append, "rank": rank}
    quick = plain.with_engines(home, "digest", "tiny", worth=1, **how)
    quick.encode(TEXTS, "document")
    (decision,) = kept(home).values()
    assert decision["engine"] == OPENVINO
    assert decision["refused"] == {BF16_WEIGHTS: "it moves MAP by 0.0030"}
    assert decision["map"] == {
        BF16_WEIGHTS: pytest.approx(0.003),
        OPENVINO: pytest.approx(0.0019),
    }
    assert [name for name, _ in asked] == ["BertModel", "Bf16Forward", "OpenVinoForward"]
    assert {most for _, most in asked} == {300} and decision["ranked"] == 77
    assert heard == [told(decision)]
    assert "are encoded by openvino" in heard[0] and "differs from fp32's by 0.0019" in heard[0]


def test_an_earlier_decision_is_held_against_judgments_once(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    made = with_times(monkeypatch, torch=1.0, torch_bf16=0.5, openvino=0.7)
    plain.with_engines(home, "digest", "tiny", worth=1).encode(TEXTS, "document")
    asked: list[int] = []

    def rank(_: Any, most: int, _stop: Any) -> tuple[float, int]:
        asked.append(most)
        return 0.5, most

    for _ in range(2):
        made.clear()
        quick = plain.with_engines(home, "digest", "tiny", worth=1, rank=rank)
        quick.encode(TEXTS, "document")
        assert made == [BF16_WEIGHTS]
    assert len(asked) == 2
    (decision,) = kept(home).values()
    assert decision["engine"] == BF16_WEIGHTS and decision["map"] == {BF16_WEIGHTS: 0.0}
    # Where nothing is judged nothing is said.
    quick = plain.with_engines(home, "else", "tiny", worth=1, rank=lambda *_: None)
    quick.encode(TEXTS, "document")
    assert "map" not in list(kept(home).values())[-1]


def test_few_texts_before_many_leave_a_decision_open(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An evaluation encodes its queries first, which are few."""
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    made = with_times(monkeypatch, torch=1.0, torch_bf16=0.5, openvino=0.48)
    plain.with_engines(home, "digest", "tiny", worth=1).encode(TEXTS, "document")
    heard: list[str] = []
    how: dict[str, Any] = {"tell": heard.append, "rank": lambda *_: (0.5, 9)}
    made.clear()
    quick = plain.with_engines(home, "digest", "tiny", worth=len(TEXTS), **how)
    for _ in range(2):
        quick.encode(TEXTS[:2], "query")
    assert made == [OPENVINO] and len(heard) == 1
    # It was close, so the documents measure it again; more of them do not.
    for _ in range(2):
        quick.encode(TEXTS, "document")
    assert made == [OPENVINO, TORCH, BF16_WEIGHTS, OPENVINO] and len(heard) == 2
    (decision,) = kept(home).values()
    assert decision["tries"] == 2 and decision["map"] == {OPENVINO: 0.0}


def test_few_texts_before_many_leave_a_decision_to_be_ranked(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    made = with_times(monkeypatch, torch=1.0, torch_bf16=0.5, openvino=0.7)
    plain.with_engines(home, "digest", "tiny", worth=1).encode(TEXTS, "document")
    made.clear()
    quick = plain.with_engines(home, "digest", "tiny", worth=len(TEXTS), rank=lambda *_: (0.5, 9))
    quick.encode(TEXTS[:2], "query")
    assert "map" not in next(iter(kept(home).values()))
    quick.encode(TEXTS, "document")
    assert made == [BF16_WEIGHTS]
    assert next(iter(kept(home).values()))["map"] == {BF16_WEIGHTS: 0.0}


@pytest.mark.parametrize(
    ("moved", "chosen", "refused"),
    [
        (("BertModel",), OPENVINO, {TORCH}),
        (("BertModel", "OpenVinoForward"), BF16_WEIGHTS, {TORCH, OPENVINO}),
        (("BertModel", "OpenVinoForward", "Bf16Forward"), FP32, {TORCH, OPENVINO, BF16_WEIGHTS}),
    ],
)
def test_an_earlier_decision_for_torch_is_ranked_and_the_next_best_stands_in(
    plain: LoadedEmbedding,
    home: Path,
    moved: tuple[str, ...],
    chosen: str,
    refused: set[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    with_times(monkeypatch, torch=0.5, torch_bf16=0.9, openvino=0.7)
    plain.with_engines(home, "digest", "tiny", worth=1).encode(TEXTS, "document")
    assert next(iter(kept(home).values()))["engine"] == TORCH

    def rank(encoder: Any, most: int, _stop: Any) -> tuple[float, int]:
        forward = type(encoder.model[0].model).__name__
        exact = forward == "BertModel" and encoder.precision == "fp32"
        return (0.5 if exact or forward not in moved else 0.4), most

    quick = plain.with_engines(home, "digest", "tiny", worth=1, rank=rank)
    found = quick.encode(TEXTS, "document")
    (decision,) = kept(home).values()
    assert decision["engine"] == chosen and decision["refused"].keys() == refused
    assert decision["map"].keys() == refused | {chosen} - {FP32}
    expected = engines.MAKE[chosen](plain, "texts").encode(TEXTS, "document")
    assert least_cosine(found, expected) > 0.99999


def test_torch_in_fp32_is_not_ranked(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_times(monkeypatch, torch=0.5)

    def rank(*_: Any) -> tuple[float, int]:
        raise AssertionError("it is what others are held against")

    exact = replace(plain, precision="fp32")
    for _ in ("measured", "kept"):
        quick = exact.with_engines(home, "digest", "tiny", worth=1, rank=rank)
        quick.encode(TEXTS, "document")
        assert quick.engines is not None and quick.engines.settled
    assert next(iter(kept(home).values()))["engine"] == TORCH


@pytest.mark.parametrize(
    ("size", "cosine", "moved", "why"),
    [
        ("small", 0.9, 0.0, ""),
        ("small", 1.1, 0.0, "its least cosine"),
        ("small", 0.9, 0.1, "it moves MAP by 0.1000"),
        ("large", 0.9, 0.1, ""),
        ("large", 1.1, 0.0, "its least cosine"),
    ],
)
def test_what_is_too_small_or_large_to_try_is_near_to_fp32_all_the_same(
    plain: LoadedEmbedding,
    home: Path,
    size: str,
    cosine: float,
    moved: float,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", cosine)
    bounds = {"small": (1000.0, 1000.0), "large": (0.0, 0.0)}[size]
    for name, seconds in zip(("_QUICKEST", "_SLOWEST"), bounds, strict=True):
        monkeypatch.setattr(engine_choice, name, seconds)
    ranked: list[str] = []

    def rank(encoder: Any, most: int, _stop: Any) -> tuple[float, int]:
        ranked.append(encoder.precision)
        return (0.5 if encoder.precision == "fp32" else 0.5 - moved), most

    for _ in ("measured", "kept"):
        quick = plain.with_engines(home, "digest", "tiny", worth=1, rank=rank)
        found = quick.encode(TEXTS, "document")
        expected = replace(plain, precision="fp32") if why else plain
        np.testing.assert_array_equal(found, expected.encode(TEXTS, "document"))
    (decision,) = kept(home).values()
    assert decision["engine"] == (FP32 if why else TORCH)
    assert decision["refused"].get(TORCH, "").startswith(why)
    assert f"the model is {'too large' if size == 'large' else 'small'}" in told(decision)
    # Ranking with a large model would take minutes.
    near = size == "small" and cosine < 1
    assert ranked == (["fp32", "bf16"] if near else [])


@pytest.mark.parametrize(
    ("others", "rival", "tries"), [(0.0, 0.4, 1), (0.5, 0.4, 3), (0.0, 0.9, 3)]
)
def test_a_close_decision_and_one_of_a_busy_machine_are_made_again(
    plain: LoadedEmbedding,
    home: Path,
    others: float,
    rival: float,
    tries: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    with_times(monkeypatch, torch=1.0, torch_bf16=2.0, openvino=rival)
    monkeypatch.setattr(engine_choice, "_worked", lambda: others * time.perf_counter() * 1000)
    found = []
    for _ in range(5):
        plain.with_engines(home, "digest", "tiny", worth=1).encode(TEXTS, "document")
        found.append(next(iter(kept(home).values()))["tries"])
        # Few texts are not worth it.
        plain.with_engines(home, "digest", "tiny").encode(TEXTS[:2], "document")
    assert found == [min(turn, tries) for turn in range(1, 6)]


def test_what_there_was_no_time_for_is_tried_by_a_later_job(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    with_times(monkeypatch, openvino=0.5)
    found = []
    for seconds in (0.0, 10.0, 10.0):
        monkeypatch.setattr(engine_choice, "_MOST_SECONDS", seconds)
        plain.with_engines(home, "digest", "tiny", worth=1).encode(TEXTS, "document")
        (decision,) = kept(home).values()
        found.append((decision["engine"], decision["tries"], len(decision["refused"])))
    assert found == [(TORCH, 1, 2), (OPENVINO, 2, 0), (OPENVINO, 2, 0)]


def test_nobody_waits_while_it_is_measured(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    made = with_times(monkeypatch, openvino=0.5)
    quick = plain.with_engines(home, "digest", "tiny", use="questions", worth=None)
    np.testing.assert_array_equal(quick.encode(TEXTS, "query"), plain.encode(TEXTS, "query"))
    assert made == [] and kept(home) == {}
    parts: list[int] = []
    for _ in range(2):
        quick.decided(lambda: parts.append(1))
        assert made == [TORCH, BF16_WEIGHTS, OPENVINO] and len(parts) > 3
    assert quick.computed(TEXTS, "query").model is not plain.model


def test_what_computes_questions_is_told_too(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "LEAST_COSINE", 0.9)
    with_times(monkeypatch)
    heard: list[str] = []
    quick = plain.with_engines(home, "digest", "tiny", tell=heard.append)
    quick.used("questions").decided(lambda: None)
    assert [one.partition(" 'tiny'")[0] for one in heard] == ["Single questions to"]


def test_a_containers_memory_counts(
    plain: LoadedEmbedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "free_memory", lambda: 1000)
    assert usable(plain) == [TORCH]


def test_served_vectors_are_in_the_format_that_is_asked_for(
    plain: LoadedEmbedding, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_VARIABLE, OPENVINO)
    monkeypatch.setenv(PRECISION_VARIABLE, "fp32")
    served = plain.with_engines(home, "digest", "tiny", use="questions").served()
    exact = replace(plain, precision="fp32").encode(TEXTS, "query")
    np.testing.assert_allclose(served.encode(TEXTS, "query"), exact, atol=2e-5)
    monkeypatch.delenv(PRECISION_VARIABLE)
    again = plain.with_engines(home, "digest", "tiny", use="questions").served()
    assert again.precision == "bf16"
    assert least_cosine(again.encode(TEXTS, "query"), exact) > 0.999


def test_openvino_reports_nothing_to_its_maker() -> None:
    """Its import would, by a package that comes with it."""
    code = (
        "import sys; from workbench.models.engines import _openvino; _openvino()\n"
        "from openvino.tools import ovc\n"
        "print(sys.modules['openvino_telemetry'], type(ovc.telemetry).__module__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["None", "openvino.tools.ovc.telemetry_stub"]


def test_a_broken_file_of_decisions_is_as_none(home: Path) -> None:
    keep(home, "a", {"engine": TORCH})
    keep(home, "b", {"engine": OPENVINO})
    assert list(kept(home)) == ["a", "b"]
    path = home / precision.FILE
    path.write_text(json.dumps({"a": {"engine": "abacus"}, "b": 3, "c": {"engine": TORCH}}))
    assert list(kept(home)) == ["c"]
    for broken in ("[1]", "{", "\udcff".encode("utf-8", "surrogateescape").decode("latin-1")):
        path.write_text(broken, encoding="utf-8")
        assert kept(home) == {}
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_what_cannot_be_kept_is_told(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    home.mkdir()
    (home / "cache").write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        keep(home, "a", {"engine": TORCH})
    assert "could not be kept" in caplog.text


def test_samples_reach_from_the_shortest_to_the_longest() -> None:
    texts = ["x" * size for size in (9, 1, 5, 3, 7)]
    assert [len(one) for one in spread(texts, 3)] == [1, 5, 9]
    assert [len(one) for one in spread(texts, 50)] == [1, 3, 5, 7, 9]
    assert len(usual("questions")[-1].split()) == 25 and len(usual("texts")[-1].split()) > 120
    assert least_cosine(np.full((1, 2), np.nan, np.float32), np.ones((1, 2), np.float32)) == 0.0


@pytest.mark.parametrize(("workers", "piece"), [(1, 1), (3, 1), (1, 4), (1, 100)])
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_what_is_computed_comes_with_its_rows(workers: int, piece: int, count: int) -> None:
    fed = ((np.array([at, at + 100]), {"x": torch.full((2, 3), float(at))}) for at in range(count))
    found = list(computed(fed, lambda batch: batch["x"] + 1, workers=workers, piece=piece))
    rows = [row for some, _ in found for row in some.tolist()]
    assert sorted(rows) == sorted([*range(count), *range(100, 100 + count)])
    for some, vectors in found:
        assert vectors[:, 0].tolist() == [row % 100 + 1 for row in some.tolist()]
