"""A way to quantize added from outside, in one file: offered, measured, kept, evaluated."""

from pathlib import Path
from typing import Any

import pytest

from tests.extending.outside import Run
from tests.workbench.models import tiny
from tests.workbench.training.real import write_animals

# Models encode in processes of their own.
pytestmark = pytest.mark.slow


def test_it_is_measured_kept_and_evaluated(extended: Run, home: Path, tmp_path: Path) -> None:
    def run(*argv: str) -> Any:
        return extended("rounded", *argv, "--json").document

    animals = sorted(map(str, write_animals(tmp_path / "animals").iterdir()))
    run("data", "add", *animals, "--name", "animals")
    run("models", "add", str(tiny.bert(tmp_path / "tiny", seed=0)), "--name", "tiny")

    chosen = ["--model", "tiny", "--dataset", "animals", "--methods", "rounded", "--vectors"]
    lab = run("quantize-lab", *chosen)
    original, rounded = lab["models"]
    assert (rounded["bound"], rounded["met"]) == (0.5, True)
    assert rounded["bytes"] < 0.75 * original["bytes"]
    assert rounded["rank_correlation"] < 1.0
    assert lab["models_take"] == "rounded"

    kept = run("quantize", "tiny", "--method", "rounded")
    assert (kept["model"], kept["contract"]["weights"]) == ("tiny-rounded", "rounded")
    assert 0.9 < kept["parity"]["agreement"] < 0.99999
    (folder,) = (home / "models").glob(f"*{kept['id']}*")
    assert "rounded to four bits" in (folder / "README.md").read_text()

    table = run("evaluate", "--dataset", "animals", "--model", "tiny-rounded", "--split", "dev")
    assert table["rows"][0]["map@100"] == pytest.approx(rounded["map@100"], abs=0.02)
    with pytest.raises(AssertionError, match="already stored in rounded"):
        run("quantize", "tiny-rounded", "--method", "bf16")


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (
            "from workbench.recipes.describe import describe\n"
            "from workbench.recipes.quantize import QuantizeRecipe\n"
            "from ui.kit.form import choice_label\n"
            "[spec] = [one for one in describe(QuantizeRecipe) if one.name == 'method']\n"
            "print([choice_label(spec, choice) for choice in spec.choices])",
            "'ONNX int8, for CPUs', 'Rounded (16 bits)'",
        ),
        (
            "from ui.tabs.quantize.tab import _several, weight_formats\n"
            "print(_several('methods', weight_formats()).choices)",
            "('Rounded (16 bits)', 'rounded')",
        ),
        (
            "from workbench.models.contract import Contract\n"
            "from workbench.quantization.prepare import QUANTIZATION_METHODS\n"
            "print(QUANTIZATION_METHODS.get('rounded').refusal('m', Contract(normalize=False)))",
            "Lengths of vectors of 'm' would be rounded.",
        ),
    ],
    ids=["form", "page", "refusal"],
)
def test_what_lists_methods_lists_it(extended: Run, code: str, shown: str) -> None:
    assert shown in extended.python("rounded", code)


def test_without_what_added_it_its_models_are_told_of(extended: Run) -> None:
    code = (
        "from pathlib import Path\n"
        "from workbench.models.contract import Contract\n"
        "from workbench.models.files import model_files\n"
        "Contract(weights='rounded').write(Path('.'))\n"
        "print(model_files(Path('.')))\n"
        "from workbench.models.assemble import stored_keeping\n"
        "try: stored_keeping(Contract(weights='rounded'))\n"
        "except Exception as error: print(error)"
    )
    assert "There is no quantization method called 'rounded'" in extended.python("precision", code)
