"""From a point of the lab to the job that keeps it as a model or as an index. Torch-free."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workbench.errors import BadInput
from workbench.recipes.base import Recipe
from workbench.recipes.evaluate import IndexRecipe
from workbench.recipes.quantize import QuantizeRecipe

if TYPE_CHECKING:
    from workbench.workspace import Workspace

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


def keeping(workspace: "Workspace", result: Mapping[str, Any], point: str, name: str) -> Recipe:
    """The recipe that makes a model or an index of a point, of the very model and data that were
    measured; raises :class:`BadInput` where that is gone."""
    panel, _, chosen = point.partition(":")
    row = next((one for one in result.get(panel) or [] if one["name"] == chosen), None)
    if row is None or point not in keepable(result):
        raise BadInput(f"The lab measured no '{chosen}'.", "Choose one of the tables' rows.")
    model = _model(workspace, result)
    if panel == "models":
        return QuantizeRecipe.read({"model": model, "method": row["method"], "name": name.strip()})
    full = result["vectors"][0]["dimensions"]
    return IndexRecipe.read(
        {
            "dataset": _dataset(workspace, result),
            "dataset_version": result["dataset_version"],
            "model": model,
            "name": name.strip(),
            "structure": _STRUCTURES[row["method"]],
            "truncate_dim": row["dimensions"] if row["dimensions"] < full else None,
            "rescore": result["rescore"],
        }
    )


def _model(workspace: "Workspace", result: Mapping[str, Any]) -> str:
    """What the model is called now, or where it lies. A name alone could be another's by now."""
    if result["model_id"]:
        return workspace.models.get(result["model_id"]).name
    # Labs of before this was noted have the name only.
    return str(result.get("source") or result["model"])


def _dataset(workspace: "Workspace", result: Mapping[str, Any]) -> str:
    """What the data set is called now, if it still has the version that was measured."""
    known = workspace.datasets
    named = str(result.get("dataset_id") or result["dataset"])
    kept = known.exists(named) and any(
        one.version == result["dataset_version"] for one in known.versions(named)
    )
    if not kept:
        raise BadInput(
            f"The measured data set '{result['dataset']}' no longer exists, or its version "
            f"{result['dataset_version']} does not.",
            "Measure again on a data set that is there.",
        )
    return known.get(named).name
