"""The lab and the quantize job in real workers, on the packaged model and a few animals."""

from pathlib import Path

import pytest

from tests.workbench.training.real import running
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.recipes.quantize import QuantizeLabRecipe, QuantizeRecipe

# Four workers and the processes they measure in, each of which reads the real model.
pytestmark = pytest.mark.slow
MODEL = "all-MiniLM-L6-v2"


def test_a_lab_measures_and_a_planted_bad_method_fails(tmp_path: Path) -> None:
    with running(tmp_path / "home") as real:
        real.workspace.models.ensure_packaged()
        lab = QuantizeLabRecipe(
            model=MODEL,
            dataset="pets",
            split="dev",
            methods=["bf16", "onnx-int8"],
            vectors=["binary"],
            # So few signs tell next to nothing: a bad method, planted.
            dimensions="8",
            rescore=0,
        )
        job = real.done(lab)
        result = job.result or {}
        models = {row["name"]: row for row in result["models"]}
        assert list(models) == ["original", "bf16", "onnx-int8"]
        assert models["bf16"]["bytes"] < 0.6 * models["original"]["bytes"]
        # On 24 queries one that moves a place is more than a bound: a good method loses little.
        assert all(row["lost"] < 0.1 and row["overlap@10"] > 0.5 for row in models.values())
        assert all(row["met"] == (row["lost"] <= row["bound"]) for row in models.values())
        assert all(row["memory"] > 0 for row in models.values())
        vectors = {row["name"]: row for row in result["vectors"]}
        assert vectors["binary 8"]["met"] is False
        assert vectors["binary 8"]["lost"] > 0.03
        assert result["models_take"] != "" and result["models_why"]
        # Nothing of what was made stays.
        assert not (real.workspace.jobs.folder(job.id) / "lab").exists()

        made = real.done(QuantizeRecipe(model=MODEL, method="onnx-int8", name="small"))
        assert (made.result or {})["parity"]["agreement"] > 0.98
        small = real.workspace.models.get("small")
        assert small.contract["weights"] == "onnx-int8" and small.base == MODEL
        measured = real.done(EvaluateRecipe(dataset="pets", split="dev", models=[MODEL, "small"]))
        assert [row["model"] for row in (measured.result or {})["rows"]] == [MODEL, "small"]
