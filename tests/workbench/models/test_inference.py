"""What every loaded model computes by: batches, training mode, prompts and lengths."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from workbench.models.contract import Contract
from workbench.models.inference import batches, inference, longest, prompt_and_length


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
