"""A setting that does nothing in a run is told, and one that does something is not."""

from typing import Any

import pytest

from workbench.recipes.decided import AUTO_PRESET
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


@pytest.mark.parametrize(
    ("values", "together", "said"),
    [
        # One GPU, or a CPU: 'all' is one device, and is trained as written all the same.
        ({"devices": "all", "auto": "all"}, 1, True),
        ({"devices": "all", "epochs": 3.0}, 1, True),
        ({"devices": "2", **AUTO_PRESET}, 2, True),
        ({"devices": "2", "epochs": 3.0}, 2, False),
        ({"devices": "1", **AUTO_PRESET}, 1, False),
        ({"devices": "gpu:0", **AUTO_PRESET}, 1, False),
        ({"devices": "all", "objective": "cosent"}, 1, False),
    ],
)
def test_that_several_devices_decide_nothing_is_said(
    values: dict[str, Any], together: int, said: bool
) -> None:
    recipe = KINDS["embedding"].read({"dataset": "d", "model": "m", **values})
    found = [one.message for one in idle(recipe, together) if "as it is written" in one.message]
    assert bool(found) == said
    assert not said or recipe.decides == ()  # type: ignore[attr-defined]
    assert all(f"devices {recipe.devices}" in one for one in found)
