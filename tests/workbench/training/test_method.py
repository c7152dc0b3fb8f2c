"""How a run keeps its frozen weights, and that its contract says so for every later use."""

from typing import Any

import pytest
import torch

from workbench.models.contract import Contract
from workbench.models.keeping import keeping_of
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.training.method import adapted_contract, keeping_for


@pytest.mark.parametrize(
    ("values", "precision", "compute"),
    [
        ({}, "fp32", torch.float32),
        ({}, "bf16", torch.bfloat16),
        ({"compute_dtype": "bf16"}, "fp32", torch.bfloat16),
        ({"compute_dtype": "fp16"}, "fp16", torch.float16),
        ({"compute_dtype": "fp32"}, "bf16", torch.float32),
    ],
)
def test_4_bit_weights_are_multiplied_as_asked_now_and_later(
    values: dict[str, Any], precision: str, compute: torch.dtype
) -> None:
    recipe = TrainEmbeddingRecipe(dataset="d", method="qlora", **values)
    kept = keeping_for(recipe, precision)
    assert kept.compute_dtype == compute
    contract = adapted_contract(Contract(), recipe, precision)
    assert keeping_of(contract, precision) == kept
    # Read otherwise, what was asked for stays.
    if values:
        assert keeping_of(contract, "fp32").compute_dtype == compute
