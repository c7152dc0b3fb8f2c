"""A setting that does nothing in a run is told, and one that does something is not."""

from typing import Any

import pytest

from workbench.recipes.train import KINDS
from workbench.training.prepare import idle

OWN = {"in_batch_negatives": False}


@pytest.mark.parametrize(
    ("kind", "values", "names"),
    [
        ("embedding", {"objective": "margin-mse", "temperature": 0.02}, ["temperature"]),
        ("embedding", {"objective": "gist", "temperature": 0.02}, []),
        ("embedding", {"mini_batch_size": 8}, ["mini_batch_size"]),
        ("embedding", {**OWN, "symmetric": True}, ["symmetric"]),
        ("embedding", {**OWN, "objective": "cached-contrastive"}, ["The cached objective"]),
        ("embedding", {"negatives_cross_device": True}, ["negatives_cross_device"]),
        ("late-interaction", {"negatives_cross_device": True}, ["negatives_cross_device"]),
        ("embedding", {"lora_r": 8}, ["lora_r"]),
        ("embedding", {"method": "lora", "lora_r": 8}, []),
        (
            "reranker",
            {"method": "qlora", "quantization_bits": "8", "quantization_type": "fp4"},
            ["quantization_type"],
        ),
        ("reranker", {"objective": "contrastive", "temperature": 2.0}, []),
    ],
)
def test_what_has_no_effect_is_told(kind: str, values: dict[str, Any], names: list[str]) -> None:
    found = idle(KINDS[kind].read({"dataset": "d", **values}), 1)
    assert [one.message.partition(" has no effect")[0] for one in found] == names
    assert all(one.mend for one in found)


def test_several_devices_gather_negatives() -> None:
    recipe = KINDS["embedding"].read({"dataset": "d", "negatives_cross_device": True})
    assert not idle(recipe, 2)
