"""What every loaded model computes by: batches, training mode, prompts and lengths."""

import os
import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer

from tests.workbench.models import tiny
from workbench.models import inference as inference_module
from workbench.models.contract import Contract
from workbench.models.inference import (
    batches,
    inference,
    longest,
    prompt_and_length,
    tokenized,
    tokenizing,
)


@given(st.lists(st.integers(0, 50)), st.integers(1, 7))
def test_each_row_is_in_one_batch_and_long_ones_are_first(lengths: list[int], size: int) -> None:
    said: list[tuple[int, int]] = []
    found = list(batches(lengths, "cpu", size, lambda *done: said.append(done)))
    rows = [int(row) for batch in found for row in batch]
    assert sorted(rows) == list(range(len(lengths)))
    assert [lengths[row] for row in rows] == sorted(lengths, reverse=True)
    assert all(len(batch) == size for batch in found[:-1])
    assert said == [(sum(map(len, found[: at + 1])), len(lengths)) for at in range(len(found))]


def test_rows_of_one_length_keep_their_order() -> None:
    assert np.concatenate(list(batches([0] * 9, "cuda:1", 2))).tolist() == list(range(9))


def test_stop_comes_before_each_batch() -> None:
    looks: list[int] = []

    def stop() -> None:
        looks.append(len(looks))
        if len(looks) == 3:
            raise KeyboardInterrupt

    given = batches([1] * 6, "cpu", 2, stop=stop)
    assert [len(next(given)), len(next(given))] == [2, 2]
    with pytest.raises(KeyboardInterrupt):
        next(given)


@pytest.mark.parametrize("training", [True, False])
def test_the_training_mode_is_as_it_was(training: bool) -> None:
    model = torch.nn.Dropout().train(training)
    with pytest.raises(KeyError), inference(model, "cpu", "fp32"):
        assert not model.training and torch.is_inference_mode_enabled()
        raise KeyError
    assert model.training is training and not torch.is_inference_mode_enabled()


def test_a_role_is_never_longer_than_the_model_reads() -> None:
    class Config:
        def to_dict(self) -> dict[str, int]:
            return {"max_position_embeddings": 64}

    contract = Contract(query_max_len=32, passage_max_len=256, query_prompt="ask: ")
    assert prompt_and_length(contract, "query", Config()) == ("ask: ", 32)
    assert prompt_and_length(contract, "document", Config()) == ("", 64)
    assert prompt_and_length(contract, "document", None) == ("", 256)
    assert longest(None) > 10**9


@given(st.lists(st.integers(0, 50)), st.integers(1, 100))
def test_a_batch_has_so_many_tokens_padding_among_them(lengths: list[int], most: int) -> None:
    said: list[tuple[int, int]] = []
    found = list(batches(lengths, "cpu", progress=lambda *done: said.append(done), tokens=most))
    assert sorted(row for batch in found for row in batch.tolist()) == list(range(len(lengths)))
    for batch in found:
        longest_row = max(lengths[row] for row in batch)
        assert len(batch) == 1 or len(batch) * longest_row <= most
    assert [one for one, _ in said] == np.cumsum([len(one) for one in found]).tolist()


TEXTS = ["the quick brown fox", "", "a cat sat on the mat " * 9, "fox", "lazy dog " * 3] * 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformer:
    return SentenceTransformer(str(tiny.bert(tmp_path_factory.mktemp("bert") / "tiny")))


@pytest.mark.slow  # A model of a few kilobytes; sentence-transformers takes seconds to import.
@pytest.mark.parametrize("side", ["left", "right"])
def test_what_is_padded_here_is_what_the_library_pads(
    model: SentenceTransformer, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In windows of four, so that a thread tokenizes; all texts, once each."""
    monkeypatch.setattr(inference_module, "_WINDOW", 4)
    monkeypatch.setattr(model.tokenizer, "padding_side", side)
    how: dict[str, Any] = {"prompt": "the fox ", "task": "document", "max_length": 16}
    said: list[tuple[int, int]] = []
    seen: list[int] = []
    for rows, features in tokenized(
        model, TEXTS, [len(text) for text in TEXTS], "cpu", how, progress=lambda *a: said.append(a)
    ):
        seen += rows.tolist()
        theirs = model.preprocess([TEXTS[row] for row in rows], **how)
        assert features.keys() == theirs.keys()
        for name, value in theirs.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(features[name], value), name
            else:
                assert features[name] == value
    assert sorted(seen) == list(range(len(TEXTS)))
    assert said[-1] == (len(TEXTS), len(TEXTS))


@pytest.mark.slow
def test_a_stop_ends_the_thread_that_tokenizes(
    model: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference_module, "_WINDOW", 2)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(tokenized(model, TEXTS, [len(text) for text in TEXTS], "cpu", {}, stop=stop))
    assert not [one for one in threading.enumerate() if one.name.startswith("tokens")]


@pytest.mark.slow
def test_a_model_that_pads_by_rules_of_its_own_is_left_to_do_so(
    model: SentenceTransformer, monkeypatch: pytest.MonkeyPatch
) -> None:
    expansion = {"strategy": "fixed", "length": 24, "token": "[PAD]", "attend": False}
    monkeypatch.setattr(model[0], "query_expansion", expansion)
    asked: list[int] = []
    plain = model.preprocess

    def preprocess(texts: list[str], **how: Any) -> Any:
        asked.append(len(texts))
        return plain(texts, **(how | {"task": None}))

    monkeypatch.setattr(model, "preprocess", preprocess)
    found = list(tokenized(model, TEXTS, [1] * 15, "cpu", {"task": "query"}, size=7))
    assert asked == [7, 7, 1]
    assert [features["input_ids"].shape[0] for _, features in found] == asked


@pytest.mark.parametrize(("device", "inside"), [("cpu", "false"), ("cuda:1", "true")])
def test_a_tokenizer_has_all_cores_beside_a_gpu_only(
    device: str, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    with tokenizing(device):
        assert os.environ["TOKENIZERS_PARALLELISM"] == inside
    assert os.environ["TOKENIZERS_PARALLELISM"] == "false"
    monkeypatch.delenv("TOKENIZERS_PARALLELISM")
    with pytest.raises(ValueError), tokenizing(device):
        raise ValueError
    assert "TOKENIZERS_PARALLELISM" not in os.environ
