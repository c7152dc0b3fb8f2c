"""What a job names stays while it runs or waits, whatever field of whatever recipe names it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from storage.records import Index, Job, JobStatus
from tests.workbench.models.fakes import queued_job, write_modules
from workbench import worker
from workbench.cli.main import main
from workbench.errors import BadInput, InUse, WasRemoved
from workbench.jobs.files import RECIPE
from workbench.models import registry
from workbench.models.registry import Models, new_model
from workbench.recipes.answer import AnswerRecipe
from workbench.recipes.base import ContractRecipe, Recipe, Referent, setting
from workbench.recipes.describe import describe, with_absolute_folders
from workbench.recipes.train import KINDS
from workbench.references import bound, references, referring_fields, renamed
from workbench.tasks import EXTRA_TASKS_VARIABLE, Task, all_tasks
from workbench.workspace import HOME_VARIABLE, Workspace

MANIFEST = Path(__file__).parents[1] / "storage/home_0003/datasets/ce1def2add3e/v2/manifest.json"
RECIPES = {name: task.recipe for name, task in all_tasks().items()}
#: Fields of text that name nothing which is there, and why not. Every other one says ``refers_to``.
NO_REFERENCE = {
    "what is made will be called so": ("name", "draw-pictures.model"),
    "a place outside the workspace": ("paths", "output", "endpoint", "key_variable"),
    "a name elsewhere": (
        "repo", "endpoint_model", "dataset_id", "subset", "hub_subset", "hub_split",
    ),
    "a part of the data": ("field", "mapping", "fixes", "where", "leave_out", "take_back"),
    "a part of a model": ("target_modules", "yes_token", "no_token", "title_separator"),
    "words for a model": (
        "query_prompt", "document_prompt", "instruction", "prompt_template", "template_en",
        "template_zh",
    ),
    "one of a few choices": ("encoding", "checks", "kind", "methods", "vectors", "auto"),
    "a machine's part": ("device", "devices"),
    "numbers": ("matryoshka_dims", "dimensions", "ratios", "shares"),
    "another recipe, which says it itself": ("values",),
}  # fmt: skip


def fields() -> Iterator[tuple[str, str, Referent]]:
    """Every field of every task that refers to something; 'values.x' of a nested recipe."""
    for task, recipe in RECIPES.items():
        for name, kind in referring_fields(recipe).items():
            yield task, name, kind
    for kind_of_model, recipe in KINDS.items():
        for name, kind in referring_fields(recipe).items():
            yield "measure", f"{kind_of_model}:values.{name}", kind


def naming(task: str, field: str, name: str) -> dict[str, Any]:
    """A recipe's values in which that field names the thing, and has an effect."""
    if ":" in field:
        of, inner = field.split(":values.")
        return {"kind": of, "values": values_of(KINDS[of], inner, name)}
    return values_of(RECIPES[task], field, name)


def values_of(recipe: type[Recipe], field: str, name: str) -> dict[str, Any]:
    specs = {spec.name: spec for spec in describe(recipe)}
    spec = specs[field]
    values: dict[str, Any] = {field: ["another", name] if spec.kind == "list" else name}
    if spec.depends_on:
        values[spec.depends_on[0]] = spec.depends_on[1][0]
    return values


def add_dataset(workspace: Workspace, name: str) -> str:
    """One that can be opened, with no rows to read; its id."""
    id, folder = workspace.datasets.new_folder()
    (folder / "v1").mkdir()
    shutil.copy(MANIFEST, folder / "v1")
    return workspace.datasets.add(id, name, f"datasets/{id}/v1/manifest.json", {}).id


def index(id: str) -> Index:
    return Index(id, "mine", "elsewhere", 1, "other", None, "exact", f"indexes/{id}", 3, 10)


@pytest.fixture
def full(home: Path) -> Iterator[Workspace]:
    """A workspace with one thing of each kind, each called 'mine'."""
    workspace = Workspace.open(home)
    id, folder = workspace.models.new_folder()
    write_modules(folder)
    workspace.models.add(new_model(id, "mine", contract={}, summary={}))
    add_dataset(workspace, "mine")
    workspace.store.indexes.insert(index("i1"))
    (home / "indexes/i1").mkdir()
    done = replace(queued_job("data-check", "mine", {}), id="mine", status=JobStatus.SUCCEEDED)
    workspace.store.jobs.insert(done)
    yield workspace
    workspace.close()


def registry_of(workspace: Workspace, kind: Referent) -> Any:
    return {
        "model": workspace.models,
        "dataset": workspace.datasets,
        "index": workspace.indexes,
        "job": workspace.jobs,
    }[kind]


@pytest.mark.parametrize(("task", "field", "kind"), list(fields()))
def test_what_a_job_names_stays(full: Workspace, task: str, field: str, kind: Referent) -> None:
    things = registry_of(full, kind)
    recipe = naming(task, field, "mine")
    for status in (JobStatus.QUEUED, JobStatus.RUNNING):
        full.store.jobs.insert(
            replace(queued_job(task, "the job", recipe), id=status.value, status=status)
        )
    said = ("the job 'the job' (queued, queued)", "the job 'the job' (running, running)")
    assert sorted(things.used_by("mine")) == sorted(said)
    with pytest.raises(InUse) as refused:
        things.remove("mine")
    assert all(one in refused.value.message for one in said)
    assert things.get("mine")
    if kind == "dataset":
        with pytest.raises(InUse, match="the job 'the job'") as refused:
            things.rename("mine", "yours")
        assert "(queued, queued)" not in refused.value.message, "it goes on with the other name"


@pytest.mark.parametrize(
    ("task", "field"), [(task, field) for task, field, kind in fields() if kind == "dataset"]
)
def test_what_a_finished_job_names_follows_a_rename(full: Workspace, task: str, field: str) -> None:
    before = naming(task, field, "mine")
    job = replace(queued_job(task, "the job", before), status=JobStatus.SUCCEEDED)
    full.store.jobs.insert(job)
    full.datasets.rename("mine", "yours")
    assert full.jobs.get(job.id).recipe == naming(task, field, "yours")
    assert full.datasets.used_by("yours") == ()
    full.datasets.remove("yours")


@pytest.mark.parametrize(("task", "field", "kind"), list(fields()))
def test_a_recipe_is_renamed_where_it_refers_to_that_kind_of_thing(
    task: str, field: str, kind: Referent
) -> None:
    job = queued_job(task, "the job", naming(task, field, "mine"))
    thing = index("i1")
    assert renamed(job, kind, thing, "yours").recipe == naming(task, field, "yours")
    for other in {"model", "dataset", "index", "job"} - {kind}:
        assert renamed(job, other, thing, "yours") == job  # type: ignore[arg-type]


@pytest.mark.parametrize("recipe", [*RECIPES.values(), AnswerRecipe, ContractRecipe])
def test_a_field_that_names_something_says_so(recipe: type[Recipe]) -> None:
    known = {name for names in NO_REFERENCE.values() for name in names}
    untyped = [
        spec.name
        for spec in describe(recipe)
        if spec.refers_to is None
        and spec.kind in ("text", "list", "fields")
        and not {spec.name, f"{recipe.task}.{spec.name}"} & known
    ]
    assert untyped == [], "give it refers_to, or say above why it names nothing"


def test_what_is_answered_with_is_known() -> None:
    assert referring_fields(AnswerRecipe) == {
        "index": "index",
        "reranker": "model",
        "local_model": "model",
    }


def test_a_setting_without_effect_refers_to_nothing() -> None:
    mining = RECIPES["mine"]
    named = {one.field for one in references(mining, {"method": "bm25", "model": "mine"})}
    assert named == set()
    # What was left out has its default, as the recipe has it.
    assert {one.name for one in references(mining, {"model": "mine"})} == {"mine"}


@pytest.mark.parametrize("task", ["evaluate", "a-task-of-another-day"])
def test_a_model_is_known_by_whatever_it_is_called(full: Workspace, task: str) -> None:
    model = full.models.get("mine")
    folder = str(full.models.folder("mine"))
    for called in (model.id, model.name, folder):
        recipe = {"models": ["bm25", called]}
        full.store.jobs.insert(queued_job(task, "the job", recipe))
        with pytest.raises(InUse, match="the job 'the job'"):
            full.models.remove("mine")
        full.jobs.cancel("job00001")
        full.jobs.remove("job00001")
    full.models.remove("mine")


def test_the_packaged_model_is_known_by_the_hubs_name(home: Path) -> None:
    workspace = Workspace.open(home)
    workspace.models.add(new_model("m1", registry.NAME, contract={}, summary={}))
    recipe = {"model": registry.ALIASES[1]}
    workspace.store.jobs.insert(queued_job("train-embedding", "the job", recipe))
    assert len(workspace.models.used_by(registry.NAME)) == 1
    workspace.close()


def test_a_data_set_stays_while_its_index_is_brought_up_to_date(full: Workspace) -> None:
    id = full.datasets.get("mine").id
    full.store.indexes.update(replace(full.indexes.get("mine"), dataset_id=id))
    full.store.jobs.insert(queued_job("index-update", "the job", {"index": "mine"}))
    with pytest.raises(InUse, match="'mine' is needed by the job 'the job'"):
        full.datasets.remove("mine")


@pytest.mark.parametrize(
    ("command", "task", "recipe"),
    [
        ("models", "mine", {"dataset": "d", "reranker": "mine"}),
        ("index", "index-update", {"index": "mine"}),
    ],
)
def test_the_command_line_shows_the_job(
    full: Workspace,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    task: str,
    recipe: dict[str, Any],
) -> None:
    monkeypatch.setattr(Models, "ensure_packaged", lambda _self: None)  # Copies 90 MB.
    full.store.jobs.insert(queued_job(task, "the job", recipe))
    assert main(["--home", str(full.home), command, "show", "mine", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["used_by"] == ["the job 'the job' (job00001, queued)"]


def test_a_job_is_about_what_its_first_field_names(full: Workspace) -> None:
    recipes = {
        "a1": ("evaluate", {"dataset": "mine", "second_dataset": "other"}),
        "a2": ("evaluate", {"dataset": "other", "second_dataset": "mine"}),
        "a3": ("data-merge", {"datasets": ["other", "mine"]}),
    }
    for id, (task, recipe) in recipes.items():
        full.store.jobs.insert(replace(queued_job(task, id, recipe), id=id))
    assert [job.id for job in full.jobs.about("mine", "evaluate")] == ["a1"]
    assert [job.id for job in full.jobs.about("mine", "data-merge")] == ["a3"]


def test_a_renamed_recipe_can_still_be_read() -> None:
    recipe = RECIPES["measure"].read({"values": {"dataset": "mine"}, "dataset": "mine"})
    job = queued_job("measure", "the job", json.loads(recipe.model_dump_json()))
    after = RECIPES["measure"].read(renamed(job, "dataset", index("d1"), "yours").recipe)
    assert (after.dataset, after.training().dataset) == ("yours", "yours")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("task", "field"), [(task, field) for task, field, kind in fields() if kind == "model"]
)
def test_a_folder_is_found_from_where_the_job_runs(
    task: str, field: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("mine", "bm25"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)

    def read(name: str) -> dict[str, Any]:
        recipe = RECIPES[task].model_construct(**naming(task, field, name))
        found = with_absolute_folders(recipe, {"another"}.__contains__)
        values = {**recipe.model_dump(), **dict(found)}
        return {name: values[name] for name in naming(task, field, name)}

    assert read("mine") == naming(task, field, str(tmp_path / "mine"))
    (tmp_path / "another").mkdir()
    for name in ("another", "bm25", "no-folder"):
        assert read(name) == naming(task, field, name), "a model's name, or a word"


def test_an_evaluation_names_a_folder_from_here(
    full: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.copy_packaged(tmp_path / "tuned")
    monkeypatch.chdir(tmp_path)
    job = full.jobs.submit(
        RECIPES["add-model"].read({"source": "tuned", "name": "from-here"}), name="a folder"
    )
    assert job.recipe["source"] == str(tmp_path / "tuned")
    queued = full.jobs.tasks.prepare(
        RECIPES["evaluate"].read({"dataset": "later", "models": ["tuned", "bm25"]}), waits=True
    )
    assert queued.models == [str(tmp_path / "tuned"), "bm25"]  # type: ignore[attr-defined]


class TellRecipe(Recipe):
    """Says which data set it was given; fails in its first attempt where it is told to."""

    task: ClassVar[str] = "tell"

    dataset: str = setting(help="Which.", refers_to="dataset")
    fail: bool = setting(False, help="Whether it fails.")


def tell(recipe: TellRecipe, context: Any) -> dict[str, Any]:
    if recipe.fail and not context.resuming:
        raise BadInput("Not yet.")
    return {"dataset": recipe.dataset, "id": context.workspace.datasets.get(recipe.dataset).id}


TASKS = {"tell": Task(TellRecipe, f"{__name__}:tell")}


@pytest.fixture
def working(full: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Where jobs can be run, within this process."""
    monkeypatch.setenv(EXTRA_TASKS_VARIABLE, f"{__name__}:TASKS")
    monkeypatch.setenv(HOME_VARIABLE, str(full.home))
    return full


def work(workspace: Workspace, id: str) -> dict[str, Any]:
    """What a worker makes of the job; its failure is recorded, and raised."""
    queue = workspace.store.queue
    job = queue.claim(lambda _: ["light"], "1@1.0", only={id})
    assert job is not None
    try:
        result = worker._work(id, job.attempt) or {}
    except BadInput as error:
        queue.finish(job, JobStatus.FAILED, error=error.to_dict())
        raise
    queue.finish(job, JobStatus.SUCCEEDED, result=result)
    return result


def failed(workspace: Workspace, **recipe: Any) -> str:
    """The id of a job that failed in its first attempt, with 'mine'."""
    job = workspace.jobs.submit(TellRecipe(dataset="mine", fail=True, **recipe))
    with pytest.raises(BadInput, match="Not yet"):
        work(workspace, job.id)
    return job.id


def test_a_queued_job_means_the_same_data_set_by_its_new_name(working: Workspace) -> None:
    before = working.datasets.get("mine").id
    job = working.jobs.submit(TellRecipe(dataset="mine"))
    working.datasets.rename("mine", "yours")
    add_dataset(working, "mine")
    assert working.datasets.used_by("mine") == ()
    assert working.datasets.used_by("yours") == (f"the job 'tell' ({job.id}, queued)",)
    assert working.jobs.about("mine", "tell") == []
    assert [one.id for one in working.jobs.about("yours", "tell")] == [job.id]
    shown = json.loads((working.jobs.folder(job.id) / RECIPE).read_text())
    assert shown["recipe"] == working.jobs.get(job.id).recipe
    assert (shown["recipe"]["dataset"], shown["references"]) == ("yours", {"dataset": before})
    assert work(working, job.id) == {"dataset": "yours", "id": before}


def test_a_rename_that_was_cut_short_changes_nothing(working: Workspace) -> None:
    """The data set has its new name, and no record of a job says so yet."""
    before = working.datasets.get("mine").id
    job = working.jobs.submit(TellRecipe(dataset="mine"))
    working.store.datasets.rename(before, "yours")
    add_dataset(working, "mine")
    assert work(working, job.id) == {"dataset": "yours", "id": before}
    assert working.jobs.get(job.id).recipe["dataset"] == "yours"


def test_a_job_that_ends_while_its_data_set_is_renamed_keeps_its_result(
    working: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = working.datasets.get("mine").id
    job = working.jobs.submit(TellRecipe(dataset="mine"))
    rows = working.store.jobs
    read = rows.list

    def list_then_work(**filters: Any) -> list[Job]:
        found = read(**filters)
        if not filters and rows.get(job.id) == job:
            work(working, job.id)
        return found

    monkeypatch.setattr(rows, "list", list_then_work)
    working.datasets.rename("mine", "yours")
    after = working.jobs.get(job.id)
    assert (after.status, after.result) == (
        JobStatus.SUCCEEDED,
        {"dataset": "yours", "id": before},
    )
    assert after.recipe["dataset"] == "yours"


@pytest.mark.parametrize("resumed", [False, True])
def test_a_rename_while_a_job_is_bound_stays(
    working: Workspace, monkeypatch: pytest.MonkeyPatch, resumed: bool
) -> None:
    id = failed(working)
    job = working.jobs.get(id)
    # As homes of before have it: what is found has to be recorded.
    working.store.jobs.rewrite(replace(job, references={}), job)
    renamed_already: list[str] = []

    def bound_then_renamed(job: Job, *more: Any) -> Job:
        now = bound(job, *more)
        if not renamed_already:
            renamed_already.append(job.id)
            working.datasets.rename("mine", "yours")
        return now

    monkeypatch.setattr("workbench.jobs.registry.bound", bound_then_renamed)
    read = working.jobs.get(id)
    found = working.jobs.resume(id) if resumed else working.jobs.bound(read)
    shown = json.loads((working.jobs.folder(id) / RECIPE).read_text())
    for recipe in (found.recipe, working.jobs.get(id).recipe, shown["recipe"]):
        assert recipe["dataset"] == "yours"
    assert found.references == {"dataset": working.datasets.get("yours").id}


def test_an_attempt_that_is_over_before_it_is_bound_does_nothing(
    working: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = failed(working)
    working.jobs.resume(id)
    again = working.store.queue.claim(lambda _: ["light"], "1@1.0", only={id})
    assert again is not None
    later = replace(again, attempt=again.attempt + 1)
    monkeypatch.setattr(working.jobs.__class__, "bound", lambda self, job: later)
    assert worker._work(id, again.attempt) is None


def test_another_data_set_of_a_removed_ones_name_is_not_meant(working: Workspace) -> None:
    id = failed(working)
    working.datasets.remove("mine")
    add_dataset(working, "mine")
    said = "The data set 'mine', which the job was made for, was removed."
    with pytest.raises(WasRemoved, match=said):
        working.jobs.resume(id)
    assert working.jobs.get(id).status is JobStatus.FAILED
    with pytest.raises(WasRemoved, match=said):
        working.jobs.recipe(id)
    assert working.jobs.removed(id) == ("dataset",)
    assert working.jobs.recipe(id, given=["dataset"]).dataset == "mine"  # type: ignore[attr-defined]
    assert working.jobs.about("mine", "tell") == []
    # Nor does a rename of the new one touch it.
    working.datasets.rename("mine", "yours")
    assert working.jobs.get(id).recipe["dataset"] == "mine"
    # What was resumed before, or is started by another program, stops in the worker.
    working.store.queue.requeue(id)
    with pytest.raises(WasRemoved, match=said):
        work(working, id)


def test_a_job_without_ids_does_not_mean_what_came_later(working: Workspace) -> None:
    """As homes of before have it, where another one of the name has been there since."""
    id = failed(working)
    job = working.jobs.get(id)
    working.store.jobs.rewrite(replace(job, references={}), job)
    working.datasets.remove("mine")
    add_dataset(working, "mine")
    assert working.jobs.removed(id) == ("dataset",)
    with pytest.raises(WasRemoved):
        working.jobs.resume(id)
    assert working.jobs.get(id).references == {}


def test_a_job_is_resumed_after_a_rename(working: Workspace) -> None:
    id, before = failed(working), working.datasets.get("mine").id
    working.datasets.rename("mine", "yours")
    add_dataset(working, "mine")
    working.jobs.resume(id)
    assert working.datasets.used_by("yours") == (f"the job 'tell' ({id}, queued)",)
    assert work(working, id) == {"dataset": "yours", "id": before}


def test_what_another_job_makes_is_known_once_the_job_starts(working: Workspace) -> None:
    first = working.jobs.submit(TellRecipe(dataset="mine"))
    job = working.jobs.submit(TellRecipe(dataset="made", fail=True), after=first.id)
    assert job.references == {}
    work(working, first.id)
    before = add_dataset(working, "made")
    with pytest.raises(BadInput, match="Not yet"):
        work(working, job.id)
    assert working.jobs.get(job.id).references == {"dataset": before}
    working.datasets.remove("made")
    add_dataset(working, "made")
    with pytest.raises(WasRemoved):
        working.jobs.resume(job.id)


def test_an_awaited_data_set_can_be_renamed(working: Workspace) -> None:
    first = working.jobs.submit(TellRecipe(dataset="mine"))
    job = working.jobs.submit(TellRecipe(dataset="made"), after=first.id)
    work(working, first.id)
    made = add_dataset(working, "made")
    working.datasets.rename("made", "yours")
    assert work(working, job.id) == {"dataset": "yours", "id": made}


@pytest.mark.parametrize(("task", "field", "kind"), [one for one in fields() if one[2] != "job"])
def test_every_field_goes_by_the_id(full: Workspace, task: str, field: str, kind: Referent) -> None:
    rows = getattr(full.store, {"model": "models", "dataset": "datasets"}.get(kind, "indexes"))
    thing = rows.by_name("mine")
    # As a person may type it, too.
    for called in ("mine", thing.id):
        job = bound(queued_job(task, "the job", naming(task, field, called)), full.store)
        assert job.recipe == naming(task, field, "mine")
        assert list(job.references.values()) == [thing.id]
    full.store.jobs.insert(job)
    if kind == "dataset":
        rows.rename(thing.id, "yours")
        add_dataset(full, "mine")
    else:
        rows.update(replace(thing, name="yours"))
        rows.insert(replace(thing, id="i2"))
    assert bound(job, full.store).recipe == naming(task, field, "yours")
    things = registry_of(full, kind)
    assert things.used_by("mine") == ()
    assert things.used_by("yours") == ("the job 'the job' (job00001, queued)",)
    rows.delete(thing.id)
    with pytest.raises(WasRemoved, match="'mine', which the job was made for"):
        bound(job, full.store)


def test_a_removed_thing_in_a_setting_without_effect_is_not_missed(full: Workspace) -> None:
    recipe = {"method": "bm25", "model": "mine", "dataset": "mine"}
    job = bound(queued_job("mine", "the job", recipe), full.store)
    assert set(job.references) == {"model", "dataset"}
    full.models.remove("mine")
    assert bound(job, full.store) == job


def test_words_and_what_comes_back_by_itself_stay_names(full: Workspace) -> None:
    for id, name in (("m1", registry.NAME), ("m2", "bm25")):
        origin = {"origin": "packaged"} if name == registry.NAME else {}
        full.models.add(new_model(id, name, contract={}, summary=origin))
    recipe = {"models": ["bm25", registry.NAME, "an-owner/a-model", "/a/folder", "mine"]}
    job = bound(queued_job("evaluate", "the job", recipe), full.store)
    assert job.references == {"models.4": full.models.get("mine").id}


def test_a_new_name_that_a_removed_thing_had_stays_apart(full: Workspace) -> None:
    other = add_dataset(full, "yours")
    recipe = {"dataset": "mine", "second_dataset": "yours"}
    job = bound(queued_job("evaluate", "the job", recipe), full.store)
    full.store.jobs.insert(replace(job, status=JobStatus.FAILED))
    full.datasets.remove("yours")
    full.datasets.rename("mine", "yours")
    assert full.jobs.get(job.id).references["second_dataset"] == other
    assert full.jobs.removed(job.id) == ("second_dataset",)
