"""Training length is the run's own; measuring, searching and serving keep the base model's."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.training.fakes import (
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
    save_late,
    save_tiny_model,
)
from tests.workbench.training.test_cells import Cell, recipe_for, run_training
from workbench.model_kinds import MODEL_KINDS
from workbench.models.contract import Contract
from workbench.models.locate import locate_folder
from workbench.takeaway.script import write_script
from workbench.takeaway.snippet import origin

pytestmark = pytest.mark.slow  # trains tiny models

#: Texts are nothing but their first words at this length.
SHORT = {"query_max_len": 5, "passage_max_len": 5}
CELLS = [
    Cell("embedding", "bert", "full"),
    Cell("embedding", "bert", "lora"),
    Cell("reranker", "bert", "full"),
    Cell("late-interaction", "bert", "full"),
    Cell("late-interaction", "stanford", "full"),
]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    return {
        "bert": save_tiny_model(folder / "bert"),
        "stanford": save_late(folder / "stanford", layout="stanford"),
    }


def trained(cell: Cell, base: Path, home: Path, **values: Any) -> tuple[Any, Any, dict[str, Any]]:
    workspace = FakeWorkspace(home, FakeReader(animal_splits(24, 12)))
    context = FakeContext(workspace, home / "jobs" / "job")
    asked = {"max_steps": 2, "eval_steps": 2, "learning_rate": 1e-12, **values}
    result = run_training(recipe_for(cell, base, **asked), context)
    return workspace, context, result


def start_of(cell: Cell, workspace: Any, base: Path) -> Contract:
    """The contract that the base is measured with."""
    kind = MODEL_KINDS.get(cell.kind)
    local = locate_folder(workspace, base)
    contract: Contract = kind.load(kind.training)().start(recipe_for(cell, base), local)
    return contract


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_the_contract_keeps_the_base_lengths(
    cell: Cell, bases: dict[str, Path], tmp_path: Path
) -> None:
    base = bases[cell.base]
    workspace, _, result = trained(cell, base, tmp_path, **SHORT)
    wanted = start_of(cell, workspace, base)
    model = workspace.models.added[0]
    contract = Contract.model_validate(model.contract)
    lengths = (contract.query_max_len, contract.passage_max_len)
    assert lengths == (wanted.query_max_len, wanted.passage_max_len) and min(lengths) > 5
    assert (result["query_max_len"], result["passage_max_len"]) == lengths
    assert result["training_lengths"] == SHORT == model.summary["training_lengths"]
    # Nothing was learnt, so what dev says after training is what it said before: at equal length.
    assert result["best"] == pytest.approx(result["untrained"], abs=1e-6)
    folder = workspace.home / model.path
    assert Contract.read(folder) == contract
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"queries to {lengths[0]} tokens, documents to {lengths[1]}" in card
    assert "queries truncated to 5 tokens, documents to 5" in card
    script = tmp_path / "script"
    write_script(workspace, model, script)
    text = (script / "train.py").read_text(encoding="utf-8")
    longest = sum(lengths) if cell.kind == "reranker" else max(lengths)
    assert "QUERY_MAX_LEN = 5\n" in text and f"USED_MAX_LEN = {longest}\n" in text
    # Whoever loads the folder with sentence-transformers alone reads as much.
    if cell.method == "full":
        kept = json.loads((folder / "tokenizer_config.json").read_text())
        assert kept["model_max_length"] == longest


@pytest.mark.parametrize("cell", CELLS[::2], ids=lambda cell: cell.name)
def test_training_itself_cuts_at_its_own_length(
    cell: Cell, bases: dict[str, Path], tmp_path: Path
) -> None:
    """Its losses are those of the texts' first words."""
    losses = []
    for name, lengths in (("short", SHORT), ("long", {"query_max_len": 16, "passage_max_len": 32})):
        _, context, _ = trained(cell, bases[cell.base], tmp_path / name, **lengths)
        losses.append([values["loss"] for _, values in context.of("train")])
    assert not np.allclose(losses[0], losses[1], atol=1e-4)


def test_longer_than_the_base_is_said(bases: dict[str, Path], tmp_path: Path) -> None:
    short = tmp_path / "short"
    save_tiny_model(short)
    found = locate_folder(FakeWorkspace(tmp_path, None), short).contract
    found.model_copy(update={"query_max_len": 8, "passage_max_len": 16}).write(short)
    long = {"query_max_len": 16, "passage_max_len": 40}
    workspace, context, result = trained(CELLS[0], short, tmp_path / "run", **long)
    contract = workspace.models.added[0].contract
    assert (contract["query_max_len"], contract["passage_max_len"]) == (8, 16)
    assert result["training_lengths"] == long
    said = "models set MODEL query_max_len=16 passage_max_len=40"
    assert any(said in note for note in context.notes) and any(said in n for n in result["notes"])


def test_a_run_of_before_repeats_at_its_own_length(bases: dict[str, Path], tmp_path: Path) -> None:
    """Older runs wrote their length into the contract, and nothing else."""
    workspace, _, _ = trained(CELLS[0], bases["bert"], tmp_path, **SHORT)
    model = workspace.models.added[0]
    path = workspace.home / model.path / "training_config.json"
    values = json.loads(path.read_text())
    del values["resolved"]["training_lengths"]
    values["resolved"]["contract"]["query_max_len"] = 7
    path.write_text(json.dumps(values))
    assert origin(workspace, model).lengths["query_max_len"] == 7


@pytest.mark.parametrize(
    ("asked", "wanted"), [(None, "query: "), ("", ""), ('""', ""), ("other: ", "other: ")]
)
def test_an_empty_prompt_is_none_and_an_absent_one_the_bases(
    asked: str | None, wanted: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    from workbench.models.load import load_embedding
    from workbench.training.loss import trained_contract

    workspace = FakeWorkspace(tmp_path, None)
    loaded = load_embedding(locate_folder(workspace, bases["bert"]), device="cpu")
    base = Contract(query_prompt="query: ", document_prompt="passage: ")
    recipe = recipe_for(CELLS[0], bases["bert"], query_prompt=asked)
    contract = trained_contract(base, loaded.model, recipe, "bert")
    assert (contract.query_prompt, contract.document_prompt) == (wanted, "passage: ")
    late = recipe_for(CELLS[4], bases["stanford"], document_prompt=asked)
    local = locate_folder(workspace, bases["stanford"])
    own = local.contract.model_copy(update={"document_prompt": "query: "})
    from dataclasses import replace

    from workbench.training.late_interaction import LateInteractionTraining

    found = LateInteractionTraining().start(late, replace(local, contract=own))
    assert found.document_prompt == wanted
