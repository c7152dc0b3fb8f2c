"""Every button acts on the job that is shown, whatever was started in another tab meanwhile."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from storage.records import Job, JobStatus
from tests.ui.tabs.conftest import evaluated, put
from tests.ui.tabs.conftest import services as services
from tests.ui.visitor import DrawnPage, Visitor, build
from tests.workbench.data.fakes import FakeContext, bring, lines
from ui.services import Services
from ui.tabs.data.check import CheckSection
from ui.tabs.data.mine import MineSection
from workbench import demo
from workbench.data_check import check
from workbench.mining import mine
from workbench.models.registry import new_model
from workbench.prepare import prepare
from workbench.recipes.base import Recipe
from workbench.recipes.data import DataCheckRecipe, DataFixRecipe
from workbench.recipes.merge import BlendRecipe
from workbench.recipes.mine import MineRecipe

RECIPES: dict[str, dict[str, Any]] = {
    "train-embedding": {"dataset": "tea", "model": "base", "name": "tuned"},
    "evaluate": {"dataset": "tea", "split": "test", "models": ["base"]},
    "matrix": {"dataset": "tea", "split": "test", "retrievers": ["base"]},
}
#: The card of each slot of the page, and a task whose jobs it shows.
SLOTS = [
    ("train-job", "train-embedding"),
    ("train-measured", "measure"),
    ("train-curve", "learning-curve"),
    ("compare-job", "evaluate"),
    ("matrix-job", "matrix"),
    ("data-job", "import"),
    ("data-hub-job", "hub-look"),
    ("mine-job", "mine"),
    ("synth-job", "synthesize"),
    ("data-check-job", "data-check"),
    ("lab-job", "quantize-lab"),
    ("index-job", "index"),
    ("model-job", "add-model"),
    ("model-work", "merge"),
    ("jobs-job", "count"),
]


def running(services: Services, id: str, task: str, at: float) -> Job:
    recipe = RECIPES.get(task, {"dataset": "tea"})
    about = {"name": id, "recipe": recipe, "created_at": time.time() + at}
    return put(services, id, task=task, status=JobStatus.RUNNING, attempt=1, **about)


def asked_to_stop(services: Services) -> set[str]:
    return {job.id for job in services.workspace.jobs.list() if job.cancel_requested_at}


@pytest.fixture
def tea(services: Services, tmp_path: Path) -> str:
    rows = [{"query": f"is {n} a tea", "pos": [f"tea {n}"]} for n in range(12)]
    rows.append({"query": "?!", "pos": ["nothing"]})
    path = lines(tmp_path / "train.jsonl", rows)
    bring(services.workspace, path, name="tea", dev_share=0, test_share=0)
    return "tea"


def by_id(page: DrawnPage, elem_id: str) -> Any:
    return next(one for one in page.demo.blocks.values() if one.elem_id == elem_id)


def test_stop_stops_the_job_that_is_shown(services: Services, tea: str) -> None:
    for _, task in SLOTS:
        running(services, f"older-{task}", task, 0.0)
    page = build(services)
    visitor = Visitor(page)
    # These show no job before one was chosen, or started here.
    visitor.type(page.jobs.chosen, "older-count")
    visitor.type(page.train.check.chosen, "older-measure")
    visitor.type(page.train.curve.chosen, "older-learning-curve")
    visitor.type(page.compare.dataset, tea)
    for tab in page.parts.values():
        visitor.open(tab)
    visitor.look(page.train)
    visitor.fire(by_id(page, "compare-matrix"), "expand")
    for _, task in SLOTS:
        running(services, f"newer-{task}", task, 1.0)
    visitor.type(page.jobs.chosen, "newer-count")
    visitor.type(page.train.check.chosen, "newer-measure")
    visitor.type(page.train.curve.chosen, "newer-learning-curve")
    stopped: set[str] = set()
    for card, task in SLOTS:
        tab = visitor.twin()
        assert f'data-job="older-{task}"' in tab.value(by_id(page, card)), card
        tab.click(by_id(page, f"{card}-stop"))
        stopped.add(f"older-{task}")
        assert asked_to_stop(services) == stopped, card


def test_a_run_that_nobody_chose_is_resumed(services: Services) -> None:
    about = {"task": "train-embedding", "recipe": RECIPES["train-embedding"]}
    put(services, "older", status=JobStatus.INTERRUPTED, created_at=1.0, **about)
    page = build(services)
    visitor = Visitor(page)
    visitor.open(page.train)
    put(services, "newer", status=JobStatus.INTERRUPTED, created_at=2.0, **about)
    visitor.click(page.train.job.resume)
    status = {job.id: job.status for job in services.workspace.jobs.list()}
    assert status == {"older": JobStatus.QUEUED, "newer": JobStatus.INTERRUPTED}


def test_the_card_of_a_comparison_that_nobody_chose_goes_on(services: Services, tea: str) -> None:
    job = running(services, "ev1", "evaluate", 0.0)
    page = build(services)
    visitor = Visitor(page)
    visitor.open(page.compare)
    progress = {"done": 7, "total": 9, "unit": "queries"}
    services.workspace.store.jobs.report(job.id, job.attempt, progress=progress)
    visitor.look(page.compare)
    assert "7 of 9 queries" in visitor.value(page.compare.job.card)
    assert services.workspace.store.queue.finish(job, JobStatus.FAILED, error={"message": "No."})
    visitor.look(page.compare)
    assert "No." in visitor.value(page.compare.job.card)


def trained(services: Services, id: str, at: float) -> None:
    recipe = {**RECIPES["train-embedding"], "name": id, "seed": int(at)}
    result = {"model": id, "metric": "map@100", "seconds": 1.0}
    about = {"task": "train-embedding", "recipe": recipe, "result": result, "name": id}
    put(services, id, status=JobStatus.SUCCEEDED, created_at=at, **about)


def test_what_a_run_leads_to_is_about_the_run_that_is_shown(services: Services, tea: str) -> None:
    trained(services, "older", 1.0)
    page = build(services)
    train = page.train
    visitor = Visitor(page)
    visitor.open(train)
    trained(services, "newer", 2.0)
    visitor.click(train.to_compare)
    assert visitor.value(page.compare.chosen)["models"] == ["base", "older"]
    visitor.click(train.to_search)
    assert visitor.value(page.search.build.model) == "older"
    visitor.click(train.clone)
    assert visitor.value(train.forms.each[0].form.components["seed"]) in (1, 1.0, "1")


def done(services: Services, id: str, recipe: Recipe, run: Any) -> None:
    """The task run here, and on record as done."""
    folder = services.workspace.jobs.folder(id)
    folder.mkdir(parents=True)
    ours = FakeContext(services.workspace, folder, job=SimpleNamespace(id=id))
    result = run(recipe, ours)
    values = {"recipe": recipe.model_dump(mode="json"), "result": result, "created_at": time.time()}
    put(services, id, task=recipe.task, status=JobStatus.SUCCEEDED, **values)


def mined(services: Services, id: str) -> None:
    values = {"dataset": "tea", "method": "bm25", "num_negatives": 3}
    done(services, id, prepare(MineRecipe.read(values), services.workspace), mine.run)


def test_a_proposal_is_ticked_and_accepted_as_it_is_shown(services: Services, tea: str) -> None:
    mined(services, "older")
    page = build(services)
    part = page.data.section(MineSection)
    visitor = Visitor(page)
    visitor.open(page.data)
    assert 'data-proposal="older"' in visitor.value(part.proposal)
    mined(services, "newer")
    value = str(visitor.value(part.table)).partition('data-pick="')[2].partition('"')[0]
    visitor.pick(part.table, value)
    folder = services.workspace.jobs.folder
    assert (folder("older") / "unticked.json").is_file()
    assert not (folder("newer") / "unticked.json").exists()
    assert 'data-proposal="older"' in visitor.value(part.proposal)
    visitor.click(part.accept)
    dataset = services.workspace.datasets.get("tea")
    lineage = services.workspace.datasets.read("tea").manifest
    assert dataset.version == 2 and "older" in str(lineage)


def test_a_mend_is_of_the_report_that_is_shown(services: Services, tea: str) -> None:
    recipe = DataCheckRecipe(dataset="tea", checks=["queries"], tokenizer="")
    done(services, "older", recipe, check.run)
    page = build(services)
    visitor = Visitor(page)
    visitor.open(page.data)
    report = page.data.section(CheckSection).report
    value = str(visitor.value(report)).partition('data-pick="')[2].partition('"')[0]
    assert "drop-empty-queries" in value
    done(services, "newer", recipe, check.run)
    visitor.pick(report, value)
    (job,) = services.workspace.jobs.list(task=DataFixRecipe.task)
    assert job.recipe["report"] == "older"


def test_a_point_is_kept_of_the_blend_that_is_shown(services: Services) -> None:
    models = services.workspace.models
    id, _ = models.new_folder()
    models.add(new_model(id, "mine", contract={}, summary={"base": "tiny"}))
    rows = [{"ratio": at, "dataset": "a", "split": "dev", "map@100": at} for at in (0.0, 1.0)]
    result = {"tuned": "mine", "base": "tiny", "metric": "map@100", "rows": rows}
    submitted: list[Recipe] = []
    page = build(services)
    visitor = Visitor(page)

    def blended(id: str, at: float, second: str) -> None:
        recipe = {"model": "mine", "base": "tiny", "dataset": "a", "second_dataset": second}
        about = {"task": BlendRecipe.task, "status": JobStatus.SUCCEEDED, "recipe": recipe}
        put(services, id, **about, result=result, created_at=at)

    blended("older", 1.0, "b")
    visitor.fire(page.models.list, "select", "mine")
    blended("newer", 2.0, "c")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(services.workspace.jobs, "submit", submitted.append)
        visitor.type(page.models.blend.name, "kept")
        visitor.click(page.models.blend.keep)
    (recipe,) = submitted
    assert isinstance(recipe, BlendRecipe)
    assert recipe.second_dataset == "b"


def sample_run(services: Services, prefix: str, at: float, status: JobStatus) -> None:
    data = {"dataset": demo.DATASET, "model": "base", "name": f"{prefix}-model"}
    common: dict[str, Any] = {"created_at": at, "recipe": data, "status": status}
    result = {"model": f"{prefix}-model", "metric": "map@100", "seconds": 1.0}
    put(services, f"{prefix}t", task="train-embedding", result=result, **common)
    evaluated(services, f"{prefix}e", after=f"{prefix}t", created_at=at, status=status)
    put(services, f"{prefix}i", after=f"{prefix}e", task="index", **common)


def test_the_sample_run_that_is_shown_is_stopped(services: Services) -> None:
    sample_run(services, "older", 1.0, JobStatus.QUEUED)
    page = build(services)
    visitor = Visitor(page)
    visitor.open(page.start)
    sample_run(services, "newer", 2.0, JobStatus.QUEUED)
    visitor.click(page.start.cancel)
    jobs = services.workspace.jobs.list()
    stopped = {job.id for job in jobs if job.status is JobStatus.CANCELLED}
    assert stopped == {"oldert", "oldere", "olderi"}


def test_the_sample_run_that_is_shown_leads_on(services: Services) -> None:
    sample_run(services, "older", 1.0, JobStatus.SUCCEEDED)
    page = build(services)
    visitor = Visitor(page)
    visitor.open(page.start)
    sample_run(services, "newer", 2.0, JobStatus.SUCCEEDED)
    visitor.click(page.start.to_train)
    assert visitor.value(page.train.chosen) == "oldert"
    visitor.click(page.start.to_compare)
    assert visitor.value(page.compare.chosen)["job"] == "oldere"
    visitor.click(page.start.to_search)
    assert visitor.value(page.search.chosen) == ["older-model"]
