"""From a point of the lab to the job that keeps it as a model or as an index. Torch-free."""

from collections.abc import Mapping
from typing import Any

from workbench.errors import BadInput
from workbench.recipes.base import Recipe
from workbench.recipes.evaluate import IndexRecipe
from workbench.recipes.quantize import QuantizeRecipe

#: How FAISS keeps what the lab measured.
_STRUCTURES = {
    "float32": "flat",
    "int8": "sq8",
    "uint8": "sq8",
    "binary": "binary",
    "ubinary": "binary",
}
ORIGINAL = "original"


def keepable(result: Mapping[str, Any]) -> list[str]:
    """The points that can be kept: 'models:METHOD' and 'vectors:NAME', in the tables' order."""
    return [
        f"{panel}:{row['name']}"
        for panel in ("models", "vectors")
        for row in result.get(panel) or []
        if row["name"] != ORIGINAL and "error" not in row
    ]


def keeping(result: Mapping[str, Any], point: str, name: str) -> Recipe:
    """The recipe that makes a model or an index of a point; raises :class:`BadInput`."""
    panel, _, chosen = point.partition(":")
    row = next((one for one in result.get(panel) or [] if one["name"] == chosen), None)
    if row is None or point not in keepable(result):
        raise BadInput(f"The lab measured no '{chosen}'.", "Choose one of the tables' rows.")
    model = str(result["model_id"] or result["model"])
    if panel == "models":
        return QuantizeRecipe.read({"model": model, "method": row["method"], "name": name.strip()})
    full = result["vectors"][0]["dimensions"]
    return IndexRecipe.read(
        {
            "dataset": result["dataset"],
            "dataset_version": result["dataset_version"],
            "model": str(result["model"]),
            "name": name.strip(),
            "structure": _STRUCTURES[row["method"]],
            "truncate_dim": row["dimensions"] if row["dimensions"] < full else None,
            "rescore": result["rescore"],
        }
    )
