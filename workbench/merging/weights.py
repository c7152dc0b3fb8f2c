"""Weights between two models of one architecture. Imports torch: worker processes only.

A point between a fine-tuned model and its base often keeps what the base knew at little cost on
what was learnt: WiSE-FT (Wortsman et al. 2022a); averages of more models are model soups (Wortsman
et al. 2022b). sentence-transformers' own merging needs mergekit for this one formula, a package
of its own with pins of its own, so the formula is written out here.
"""

from collections.abc import Mapping
from typing import Any

import torch

from workbench.errors import BadInput

Weights = dict[str, torch.Tensor]


def weights_of(model: Any) -> Weights:
    """All weights of a model (its transformer's, projection's and head's), copied."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def refuse_other_shapes(tuned: Weights, base: Weights, names: tuple[str, str]) -> None:
    """Raise :class:`BadInput` unless both have the same weights in the same shapes."""
    if tuned.keys() != base.keys():
        alone = sorted(tuned.keys() ^ base.keys())
        raise _unlike(names, f"{len(alone)} weights are in one of them only, such as {alone[0]}")
    for name, value in tuned.items():
        if value.shape != base[name].shape:
            mine, other = tuple(value.shape), tuple(base[name].shape)
            raise _unlike(names, f"{name} is {mine} in the one and {other} in the other")


def between(tuned: Weights, base: Weights, ratio: float) -> Weights:
    """``ratio`` of the fine-tuned weights and the rest of the base's, in fp32.

    The ends are the models themselves, to the last bit. Whole numbers (positions) are the
    fine-tuned model's.
    """
    if ratio in (0.0, 1.0):
        return tuned if ratio else base
    return {
        name: torch.lerp(base[name].float(), value.float(), ratio)
        if value.is_floating_point()
        else value
        for name, value in tuned.items()
    }


def put(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Give a model these weights, in place."""
    model.load_state_dict(weights)


def _unlike(names: tuple[str, str], how: str) -> BadInput:
    return BadInput(
        f"'{names[0]}' and '{names[1]}' are not of the same architecture: {how}.",
        "Blend a model with the base it was fine-tuned from.",
    )
