"""A workspace with tiny real models and an index, and an app that offers them to programs."""

import json
import shutil
from pathlib import Path

from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeContext
from tests.workbench.search.test_rerank import corpus, cross_encoder, late_interaction, put_model
from workbench.models.inspect import inspect_folder
from workbench.models.registry import new_model
from workbench.recipes.data import ImportRecipe
from workbench.recipes.evaluate import IndexRecipe
from workbench.workspace import Workspace

QUERY_PROMPT = "the quick fox "


def fill(folder: Path) -> Workspace:
    """Models 'encodes', 'prompted' (with a query prompt), 'orders' and 'colbert'; the data set
    'animals' and its index 'one'; 'notes', of documents with fields, and its index 'dated'."""
    from workbench.data.job import run_import
    from workbench.prepare import prepare
    from workbench.search.making import run_build

    workspace = Workspace.open(folder / "home")
    context = FakeContext(workspace)
    recipe = ImportRecipe(paths=[str(corpus(folder))], name="animals")
    run_import(prepare(recipe, workspace, False), context)
    put_model(workspace, "encodes", tiny.bert(folder / "encodes"))
    put_model(workspace, "orders", cross_encoder(folder / "orders", 1))
    put_model(workspace, "colbert", late_interaction(folder))
    _prompted(workspace, folder / "encodes")
    wanted = IndexRecipe(dataset="animals", model="encodes", name="one")
    run_build(prepare(wanted, workspace, False), context)
    notes = ImportRecipe(paths=[str(_notes(folder))], name="notes")
    run_import(prepare(notes, workspace, False), context)
    wanted = IndexRecipe(dataset="notes", model="encodes", name="dated")
    run_build(prepare(wanted, workspace, False), context)
    return workspace


def _notes(folder: Path) -> Path:
    """Documents with fields of their own; one has a name that hits have too."""
    rows = [
        {"_id": f"n{at}", "text": f"dog {at}", "year": 2018 + at, "tags": ["a"], "score": "high"}
        for at in range(6)
    ]
    path = folder / "notes.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def _prompted(workspace: Workspace, source: Path) -> None:
    id, folder = workspace.models.new_folder()
    shutil.copytree(source, folder, dirs_exist_ok=True)
    contract = inspect_folder(folder).contract.model_copy(update={"query_prompt": QUERY_PROMPT})
    contract.write(folder)
    workspace.models.add(new_model(id, "prompted", contract=contract.model_dump(), summary={}))
