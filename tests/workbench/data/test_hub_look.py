"""A look at a hub's data set: its names and first rows, and the preview that reads them."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.workbench.data.fakes import context, lines
from tests.workbench.data.test_hub import library
from workbench.data import hub
from workbench.data.preview import preview
from workbench.errors import BadInput
from workbench.recipes.data import HubLookRecipe, ImportRecipe
from workbench.workspace import Workspace

pytestmark = pytest.mark.slow  # The datasets library takes seconds to import.
__all__ = ["library"]


_NUMBERS = count(1)


def looked(workspace: Workspace, repo: str, **more: Any) -> dict[str, Any]:
    """Look, and put the job on record as the supervisor would."""
    id = f"look{next(_NUMBERS):06}"
    recipe = hub.prepare_look(HubLookRecipe(dataset_id=f"hf:{repo}", **more), workspace)
    said = context(workspace)
    said.folder = workspace.path(f"jobs/{id}")
    said.folder.mkdir(parents=True, exist_ok=True)
    result = hub.run_look(recipe, said)
    about = {"task": "hub-look", "recipe": recipe.model_dump(), "result": result}
    workspace.store.jobs.insert(make.job(id, status=JobStatus.SUCCEEDED, **about))
    return result


def shown(workspace: Workspace, repo: str, **more: Any) -> Any:
    return preview(workspace, ImportRecipe(paths=[f"hf:{repo}"], name="-", **more))


def rows(split: str, number: int = 3) -> list[dict[str, str]]:
    return [{"frage": f"{split} {n}?", "antwort": f"a{n}"} for n in range(number)]


def test_columns_are_shown_guessed_and_mapped_as_for_files(
    workspace: Workspace, tmp_path: Path, library: Callable[[Path], Any]
) -> None:
    for split in ("train", "test"):
        lines(tmp_path / f"set/{split}.jsonl", rows(split, 300))
    library(tmp_path / "set")
    blind = shown(workspace, "me/columns")
    assert (blind.rows, len(blind.notes)) == ([], 1)
    assert "run the preview" in blind.notes[0]
    result = looked(workspace, "me/columns")
    assert result["splits"] == ["train", "test"]
    assert (result["subset"], result["rows"]) == ("", 2 * hub.ROWS)
    found = shown(workspace, "me/columns")
    assert set(found.columns) == {"frage", "antwort"}
    assert found.guess == {"frage": "query", "antwort": "positive"}
    mapped = shown(
        workspace, "me/columns", mapping=["query=frage", "positive=antwort"], hub_split="test"
    )
    assert mapped.rows[0].texts == (("query", "test 0?"), ("positive", "a0"))
    assert {row.file for row in mapped.rows} == {"columns/test.parquet"}


def test_subsets_are_told_and_looked_at_one_by_one(
    workspace: Workspace, tmp_path: Path, library: Callable[[Path], Any]
) -> None:
    for subset in ("de", "en"):
        lines(tmp_path / f"set/{subset}/train.jsonl", rows(subset))
    configs = "".join(
        f"- config_name: {subset}\n  data_files: {subset}/train.jsonl\n" for subset in ("de", "en")
    )
    (tmp_path / "set/README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    library(tmp_path / "set")
    assert looked(workspace, "me/subsets")["subsets"] == ["de", "en"]
    assert "de 0?" in str(shown(workspace, "me/subsets").to_dict())
    assert "'de' has train" in shown(workspace, "me/subsets").notes[0]
    assert shown(workspace, "me/subsets", hub_subset="en").rows == []
    looked(workspace, "me/subsets", subset="en")
    found = shown(
        workspace, "me/subsets", hub_subset="en", mapping=["query=frage", "positive=antwort"]
    )
    assert found.rows[0].texts[0] == ("query", "en 0?")
    with pytest.raises(BadInput, match="no subset 'fr'"):
        looked(workspace, "me/subsets", subset="fr")


def test_a_retrieval_set_is_shown_as_one(
    workspace: Workspace, tmp_path: Path, library: Callable[[Path], Any]
) -> None:
    folder = tmp_path / "set"
    lines(folder / "corpus.jsonl", [{"_id": "d1", "title": "", "text": "a text"}])
    lines(folder / "queries.jsonl", [{"_id": "q1", "text": "a query?"}])
    lines(folder / "qrels.jsonl", [{"query-id": "q1", "corpus-id": "d1", "score": 1}])
    configs = "".join(
        f"- config_name: {config}\n  data_files:\n  - split: {split}\n    path: {file}.jsonl\n"
        for config, split, file in (
            ("default", "test", "qrels"),
            ("corpus", "corpus", "corpus"),
            ("queries", "queries", "queries"),
        )
    )
    (folder / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    library(folder)
    assert looked(workspace, "me/retrieval")["splits"] == ["test"]
    found = shown(workspace, "me/retrieval")
    assert found.format == "beir"
    assert [row.kind for row in found.rows] == ["document", "query"]


def test_offline_it_is_refused_at_the_click(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="HF_HUB_OFFLINE is set"):
        hub.prepare_look(HubLookRecipe(dataset_id="owner/name"), workspace)
