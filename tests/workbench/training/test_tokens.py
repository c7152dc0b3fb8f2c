"""Texts are tokenized once, and their batches are what the tokenizer itself would make."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.workbench.training.fakes import ANIMALS, save_decoder, save_tiny_model
from workbench.training.trainer import Tokens

# torch and a tiny model.
pytestmark = pytest.mark.slow

TEXTS = [" ".join(ANIMALS[: 1 + at * 3 % 7]) for at in range(9)]


def tokens(model: Any, room: int = 1 << 20) -> tuple[Tokens, list[int]]:
    """And how many texts each tokenizing read."""
    read: list[int] = []

    def preprocess(texts: list[str]) -> dict[str, Any]:
        read.append(len(texts))
        return dict(model.preprocess(texts, prompt="find "))

    return Tokens(preprocess, model.tokenizer, room), read


def features(kept: Tokens, rows: Sequence[int]) -> dict[str, Any]:
    return kept.features(rows, lambda: [TEXTS[row] for row in rows])


def encoder(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(save_tiny_model(folder / "tiny")), device="cpu")


def decoder(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(save_decoder(folder / "qwen", "qwen3")), device="cpu")
    model.tokenizer.padding_side = "left"
    return model


@pytest.mark.parametrize("make", [encoder, decoder])
def test_a_batch_of_kept_tokens_is_the_tokenizer_s(make: Any, tmp_path: Path) -> None:
    model = make(tmp_path)
    kept, read = tokens(model)
    for rows in ([0, 1, 2, 3, 4], [5, 6, 7, 8]):
        features(kept, rows)
    for rows in ([8, 1, 1, 3], [2], [7, 0, 4, 5, 6]):
        found = features(kept, rows)
        wanted = model.preprocess([TEXTS[row] for row in rows], prompt="find ")
        assert set(found) == set(wanted)
        for name, value in wanted.items():
            same = torch.equal if isinstance(value, torch.Tensor) else lambda a, b: a == b
            assert same(found[name], value), name
    assert read == [5, 4]


def test_without_room_texts_are_tokenized_again(tmp_path: Path) -> None:
    kept, read = tokens(encoder(tmp_path), room=40)
    for _ in range(2):
        features(kept, [0, 1, 2])
    assert read == [3, 3]


def test_what_is_padded_otherwise_is_not_kept(tmp_path: Path) -> None:
    model = encoder(tmp_path)
    kept, read = tokens(model)
    kept.preprocess = lambda texts: (
        read.append(1)
        or dict(model.preprocess(texts, processing_kwargs={"text": {"pad_to_multiple_of": 16}}))
    )
    for _ in range(2):
        assert features(kept, [0, 1])["input_ids"].shape == (2, 16)
    assert read == [1, 1]
