"""The Quantize tab: what it shows of a lab, and what it keeps of it."""

from typing import Any

import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.ui.visitor import drawn
from ui.services import Services
from ui.tabs.quantize.shown import lab_chart, lab_html, rows_of
from ui.tabs.quantize.tab import QuantizeTab
from workbench.errors import BadInput
from workbench.quantization.prepare import keepable, keeping
from workbench.recipes.quantize import QuantizeRecipe
from workbench.workspace import Workspace


def row(name: str, size: int, value: float, bound: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "method": "" if name == "original" else name,
        "dimensions": 384,
        "bytes": size,
        "memory": size,
        "milliseconds_per_query": 12.0,
        "milliseconds_per_document": 30.0,
        "map@100": value,
        "ndcg@10": value,
        "recall@100": 0.9,
        "overlap@10": 0.95,
        "rank_correlation": 0.97,
        "bound": bound,
        "lost": 0.6 - value,
        "met": 0.6 - value <= bound,
        "front": True,
        **more,
    }


RESULT: dict[str, Any] = {
    "model": "all-MiniLM-L6-v2",
    "model_id": None,
    "kind": "embedding",
    "dataset": "stdlib-code",
    "dataset_version": 1,
    "split": "test",
    "queries": 300,
    "documents": 1600,
    "device": "cpu",
    "rescore": 4,
    "models": [
        row("original", 90_000_000, 0.6),
        row("bf16", 45_000_000, 0.599, 0.005),
        row("nf4", 30_000_000, 0.55, 0.03),
        {"name": "onnx", "method": "onnx", "error": "It <cannot> be exported.", "met": False},
    ],
    "models_take": "bf16",
    "models_why": "The smallest within its bound.",
    "vectors": [
        row("original", 2_400_000, 0.6, method="float32"),
        row("binary 128", 25_600, 0.59, 0.03, method="binary", dimensions=128),
    ],
    "vectors_take": "binary 128",
    "vectors_why": "The smallest within its bound.",
}


def test_bounds_are_shown_as_met_or_failed() -> None:
    html = lab_html(RESULT)
    found = html.split("<tr>")
    bf16, nf4, onnx = (
        next(one for one in found if f">{name}" in one) for name in ("bf16", "nf4", "onnx")
    )
    assert "Passed" in bf16 and "-0.0010 (0.005)" in bf16 and "Recommended" in bf16
    assert "Failed" in nf4 and "-0.0500 (0.03)" in nf4
    assert "Failed" in onnx and "It &lt;cannot&gt; be exported." in onnx
    assert "Recommended: binary 128." in html


def test_the_chart_has_a_dot_per_measured_row_and_the_front() -> None:
    figure = lab_chart(RESULT, "models")
    names = [trace.text[0] for trace in figure.data[1:]]
    assert names == ["Original (fp32)", "<b>bf16</b>", "nf4"]
    assert list(figure.data[0].x) == [30_000_000, 45_000_000, 90_000_000]
    assert rows_of({**RESULT, "vectors": RESULT["vectors"][:1]}, "vectors") == []


def test_a_point_becomes_a_model(workspace: Workspace) -> None:
    assert keepable(RESULT) == ["models:bf16", "models:nf4", "vectors:binary 128"]
    recipe = keeping(workspace, RESULT, "models:nf4", " small ")
    assert recipe == QuantizeRecipe(model="all-MiniLM-L6-v2", method="nf4", name="small")
    for point in ("models:onnx", "models:original", "models:none", "else:bf16"):
        with pytest.raises(BadInput, match="measured no"):
            keeping(workspace, RESULT, point, "")


def test_the_tab_shows_the_newest_lab_and_what_it_recommends(workspace: Workspace) -> None:
    lab = drawn(QuantizeTab, Services(workspace))
    nothing = lab.view(None)
    assert "Nothing has been measured yet" in nothing[lab.shown]
    assert not nothing[lab.charts["models"]].visible
    about = {"status": JobStatus.SUCCEEDED, "result": RESULT}
    workspace.store.jobs.insert(make.job("lab1", task="quantize-lab", **about))
    shown = lab.view(None)
    assert "bf16" in shown[lab.shown] and shown[lab.charts["models"]].visible
    point = shown[lab.point]
    assert point["value"] == "models:bf16"
    assert ("binary 128 as an index", "vectors:binary 128") in point["choices"]
    # A point that was chosen stays chosen.
    assert lab.view("lab1", "models:nf4")[lab.point]["value"] == "models:nf4"
