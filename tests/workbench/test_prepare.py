"""What the fields of a recipe say of themselves is looked up when a job is submitted."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from workbench.errors import BadInput, DatasetNotFound, ModelNotFound, NameTaken
from workbench.model_kinds import MODEL_KINDS
from workbench.prepare import NEEDS, look_up
from workbench.recipes.base import Fit, Recipe, setting
from workbench.recipes.describe import describe
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.recipes.fields import current_version, dataset_version, model_name
from workbench.recipes.quantize import QuantizeLabRecipe
from workbench.tasks import all_tasks, load
from workbench.workspace import Workspace

SECOND = Fit("scores", "workbench.evaluation.named:no_second_stage")


class Pinned(Recipe):
    task: ClassVar[str] = "toy"

    dataset: str = setting(help="Which.", refers_to="dataset", needs="documents")
    dataset_version: int | None = dataset_version()


class Current(Pinned):
    dataset_version: int | None = current_version()


class Models(Recipe):
    task: ClassVar[str] = "toy"

    second: str = setting("", help="Which.", refers_to="model", fits=SECOND)
    first: str = setting(
        "auto",
        help="Which.",
        refers_to="model",
        fits=Fit("first_stage", "workbench.evaluation.named:no_first_stage"),
    )
    name: str = model_name("What it is called.")

    @property
    def default_name(self) -> str:
        return self.second and f"{self.second}-made"


class Sets:
    """A data set of three versions, so far."""

    documents = 2

    def exists(self, name: str) -> bool:
        return name == "tea"

    def read(self, name: str, version: int | None = None) -> Any:
        if name != "tea":
            raise DatasetNotFound("There is none.")
        counts = {"documents": self.documents}
        return SimpleNamespace(name=name, version=version or 3, counts=counts)


@pytest.fixture
def workspace(home: Path) -> Iterator[Workspace]:
    opened = Workspace.open(home)
    opened.models.ensure_packaged()
    opened.__dict__["datasets"] = Sets()
    yield opened
    opened.close()


def test_the_version_is_pinned(workspace: Workspace) -> None:
    assert look_up(Pinned(dataset="tea"), workspace).dataset_version == 3
    assert look_up(Pinned(dataset="tea", dataset_version=2), workspace).dataset_version == 2
    with pytest.raises(DatasetNotFound):
        look_up(Pinned(dataset="coffee"), workspace)


def test_what_an_earlier_job_brings_is_left_for_the_run(workspace: Workspace) -> None:
    assert look_up(Pinned(dataset="coffee"), workspace, waits=True).dataset_version is None
    assert look_up(Pinned(dataset="tea"), workspace, waits=True).dataset_version == 3
    # The job before may make the version that is meant.
    assert look_up(Current(dataset="tea"), workspace, waits=True).dataset_version is None
    assert look_up(Current(dataset="tea"), workspace).dataset_version == 3
    assert look_up(Models(second="later"), workspace, waits=True).name == "later-made"


def test_a_data_set_without_what_is_needed_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sets, "documents", 0)
    with pytest.raises(BadInput, match="'tea' has no documents"):
        look_up(Pinned(dataset="tea"), workspace)


@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "bm25"])
def test_a_model_that_does_not_fit_is_refused(workspace: Workspace, name: str) -> None:
    with pytest.raises(BadInput, match=f"'{name}' cannot be a second stage"):
        look_up(Models(second=name), workspace)
    assert look_up(Models(first=name), workspace).first == name


def test_names_of_models_are_known_or_words_of_the_field(workspace: Workspace) -> None:
    for word in ("auto", "given"):
        assert look_up(Models(first=word), workspace).first == word
    for wrong in ({"first": "no-such-model"}, {"second": "given"}):
        with pytest.raises(ModelNotFound):
            look_up(Models(**wrong), workspace)


def test_what_is_made_gets_a_free_name(workspace: Workspace) -> None:
    assert look_up(Models(), workspace).name == ""
    assert look_up(Models(name=" mine "), workspace).name == "mine"
    with pytest.raises(NameTaken) as taken:
        look_up(Models(name="all-MiniLM-L6-v2"), workspace)
    assert "'all-MiniLM-L6-v2-2'" in taken.value.hint
    with pytest.raises(BadInput, match="cannot be a model's name"):
        look_up(Models(name="owner/name"), workspace)


def test_what_fields_say_can_be_looked_up() -> None:
    specs = [spec for task in all_tasks().values() for spec in describe(task.recipe)]
    assert {spec.needs for spec in specs if spec.needs} == set(NEEDS)
    for fit in {spec.fits for spec in specs if spec.fits}:
        assert all(hasattr(kind, fit.can) for kind in MODEL_KINDS.all() if fit.can)
        assert bool(fit.can) == bool(fit.refusal)
        assert all(callable(load(where)) for where in (fit.refusal, fit.check) if where)
    assert {spec.refers_to for spec in specs if spec.fits} == {"model"}


@pytest.mark.parametrize("recipe", [QuantizeLabRecipe, EvaluateRecipe])
def test_a_data_set_that_is_not_named_is_refused(recipe: type[Recipe], tmp_path: Path) -> None:
    """A page that has none to choose from sends an empty name."""
    opened = Workspace.open(tmp_path)
    about = {"models": ["bm25"]} if recipe is EvaluateRecipe else {}
    with pytest.raises(DatasetNotFound):
        look_up(recipe.read({"dataset": "", **about}), opened)
    opened.close()
