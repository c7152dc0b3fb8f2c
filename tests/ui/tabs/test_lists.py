"""Train, Models and Jobs: what they show of the records."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from storage.records import JobStatus
from tests.storage import make
from tests.ui.tabs.conftest import BAD, put
from tests.ui.visitor import drawn
from tests.workbench.comparison.test_trained import AUTO, NO_BETTER
from ui.kit.cards import job_card, progress_text, train_text
from ui.services import Services
from ui.tabs import jobs
from ui.tabs.models import details as model_details
from ui.tabs.train import tab
from workbench.auto.decisions import SO_FAR

TRAINED: dict[str, Any] = {
    "model": "tuned",
    "metric": "map@100",
    "baseline": {"map@100": 0.5},
    "best": {"map@100": 0.6},
    "beats_base": True,
    "seconds": 61.0,
}


def training(services: Services, id: str = "tr1", **values: Any) -> Any:
    recipe = {"dataset": "tea", "model": "base", "name": "tuned"}
    return put(services, id, task="train-embedding", name="tuned", recipe=recipe, **values)


def test_progress_is_a_sentence() -> None:
    now = {"done": 12, "total": 38, "unit": "steps", "message": "Training", "rate": 0.05}
    job = make.job(status=JobStatus.RUNNING, progress={**now, "seconds_left": 90})
    said = progress_text(job)
    assert said == "Training · 12 of 38 steps · 0.05 steps/s · about 1 min 30 s left"


def test_a_card_is_text_only_and_says_what_to_do() -> None:
    error = {"message": BAD, "hint": "Use a smaller batch."}
    html = job_card(make.job(name=BAD, status=JobStatus.FAILED, error=error))
    assert "Use a smaller batch." in html
    assert "<script" not in html
    assert "<img" not in html


def test_a_worker_that_is_silent_is_said_to_be() -> None:
    job = make.job(status=JobStatus.RUNNING, heartbeat_at=time.time() - 600)
    assert "not responding" in job_card(job)
    assert "not responding" not in job_card(replace(job, heartbeat_at=time.time()))
    stopping = replace(job, heartbeat_at=time.time(), cancel_requested_at=1.0)
    assert "stopping" in job_card(stopping)


def test_the_outcome_of_training_is_said_plainly() -> None:
    assert train_text(TRAINED).startswith("Better: MAP@100 on dev went from 0.500 to 0.600")
    worse = train_text({**TRAINED, "beats_base": False})
    assert worse.startswith("No better than the original")
    assert "nothing was measured" in train_text({**TRAINED, "baseline": {}})
    own = train_text({**TRAINED, "baseline": {}, "unmeasured": "Too few.", "recommended": "base"})
    assert "Too few. Until you have compared them, keep base." in own


def test_a_run_that_decided_shows_what_and_why(services: Services) -> None:
    """On Train and on Jobs; names and reasons are text."""
    reason = {**AUTO["decisions"][0], "reason": BAD}
    result = {**AUTO, "decisions": [reason, *AUTO["decisions"][1:]]}
    job = training(services, status=JobStatus.SUCCEEDED, result=result)
    train, list = drawn(tab.TrainTab, services), drawn(jobs.JobsTab, services)
    for card in (train.view(job)[train.job.card], list.refresh(job.id, "")[list.job.card]):
        assert "+0.031 [+0.012, +0.051], p = 0.001, 432 queries in 80 groups" in card
        assert ">Serving length</td>" in card and ">Learning rate</td>" in card
        assert all(f">{by}</td>" in card for by in ("measured", "rule", "you"))
        assert ">BM25</td>" in card and ">0.944</td>" in card
        assert "3 folds" in card and "59% of your tokens" in card
        assert "about +0.04 MAP@100" in card and "right in 3 of 4 earlier runs." in card
        assert "<script" not in card
    plain = training(services, "old", status=JobStatus.SUCCEEDED, result=TRAINED)
    assert "rw-found" not in train.view(plain)[train.job.card]


def test_what_was_not_shown_to_be_better_is_not_recommended() -> None:
    assert train_text(NO_BETTER).startswith("Not shown to be better than the original")
    assert tab.next_step(NO_BETTER).startswith("Keep the original.")
    assert tab.next_step({**TRAINED, "beats_base": False}).startswith("Use the original.")


def test_a_finished_run_leads_on(services: Services) -> None:
    job = training(services, status=JobStatus.SUCCEEDED, result=TRAINED)
    part = drawn(tab.TrainTab, services)
    shown = part.view(job)
    assert "Better" in shown[part.job.card]
    assert shown[part.box].visible is True
    assert not shown[part.job.stop].visible and not shown[part.job.resume].visible
    assert all(shown[one].visible for one in (part.to_compare, part.to_search, part.clone))
    assert shown[part.chart] == shown[part.log] == shown[part.job.shown] == job.id
    assert shown[part.fitting] == ""


@pytest.mark.parametrize(
    ("status", "cancels", "resumes"),
    [
        (JobStatus.QUEUED, True, False),
        (JobStatus.RUNNING, True, False),
        (JobStatus.INTERRUPTED, False, True),
        (JobStatus.CANCELLED, False, True),
    ],
)
def test_stop_and_resume_show_when_they_can_be_used(
    services: Services, status: JobStatus, cancels: bool, resumes: bool
) -> None:
    job = training(services, status=status)
    train, list = drawn(tab.TrainTab, services), drawn(jobs.JobsTab, services)
    for part, shown in ((train, train.view(job)), (list, list.refresh(job.id, ""))):
        buttons = shown[part.job.stop], shown[part.job.resume]
        assert tuple(one.visible for one in buttons) == (cancels, resumes)


def test_while_it_trains_the_card_stays_as_it_is(services: Services) -> None:
    job = training(services, status=JobStatus.RUNNING)
    early = replace(job, progress={"done": 1, "total": 9, "unit": "steps"})
    late = replace(job, progress={"done": 7, "total": 9, "unit": "steps"})
    assert tab.card_html(early) == tab.card_html(late)


def test_what_was_decided_stands_there_while_it_trains(services: Services) -> None:
    job = training(services, status=JobStatus.RUNNING)
    train = drawn(tab.TrainTab, services)
    assert "rw-found" not in train.view(job)[train.job.card]
    path = services.workspace.jobs.folder(job.id) / SO_FAR
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({name: AUTO[name] for name in ("decisions", "look", "forecast")}))
    card = train.view(job)[train.job.card]
    assert ">Serving length</td>" in card and "Better" not in card
    assert "Expected from the look: about +0.04 MAP@100" in card


def test_the_chosen_run_is_shown_or_else_the_newest(services: Services) -> None:
    assert tab.shown_job(services, "") is None
    training(services, "old", created_at=1.0)
    training(services, "new", created_at=2.0)
    put(services, "imp", task="import", created_at=3.0)
    assert tab.shown_job(services, "old").id == "old"  # type: ignore[union-attr]
    for gone in ("", "nothere", "imp"):
        assert tab.shown_job(services, gone).id == "new"  # type: ignore[union-attr]
    assert [id for _, id in tab.runs_menu(services, "old")["choices"]] == ["new", "old"]


def test_models_show_what_they_gained(services: Services) -> None:
    store = services.workspace.store.models
    store.insert(make.model("m1", "tuned", base="base", summary=TRAINED))
    store.insert(make.model("m2", "worse", summary=TRAINED, verdict="no-better"))
    store.insert(make.model("m3", BAD))
    html = model_details.list_html(services, "tuned")
    assert "0.500" in html and "0.600" in html
    assert "no better than the original" in html
    assert "<script" not in html
    details = model_details.details_html(services, services.workspace.models.get("tuned"))
    assert "Pooling" in details and "mean" in details


def test_a_model_of_random_weights_is_listed_too(services: Services) -> None:
    """The pictures' sample once wrote 'untrained' into its model's record."""
    about = {"origin": "made", "untrained": True}
    services.workspace.store.models.insert(make.model("m1", "drawn", summary=about))
    assert "drawn" in model_details.list_html(services, "")
    assert model_details.measure(services.workspace.models.get("drawn"), "untrained") == "–"


def test_a_model_is_a_download(services: Services) -> None:
    services.workspace.store.models.insert(make.model("m1", "a/b c"))
    link = model_details.download_html(services, services.workspace.models.get("m1"))
    assert 'href="/api/download/models/a%2Fb%20c"' in link


def test_jobs_by_status(services: Services) -> None:
    training(services, "run", status=JobStatus.RUNNING, progress={"done": 1, "total": 4})
    put(services, "bad", name=BAD, status=JobStatus.FAILED, error={"message": "Broke."})
    every = jobs.list_html(services, "bad", "")
    assert 'data-pick="run"' in every and 'data-pick="bad"' in every
    assert "<script" not in every
    assert 'data-pick="bad"' not in jobs.list_html(services, "", "running")
    assert "rw-empty" in jobs.list_html(services, "", "interrupted")


def test_a_job_shows_its_recipe_history_and_error(services: Services) -> None:
    job = put(
        services,
        "bad",
        status=JobStatus.FAILED,
        error={"message": "Out of memory.", "hint": "Use a smaller batch."},
        recipe={"model": BAD},
    )
    part = drawn(jobs.JobsTab, services)
    shown = part.refresh(job.id, "")
    assert "Out of memory. Use a smaller batch." in shown[part.job.card]
    assert "<script" not in shown[part.recipe]
    assert "&lt;script&gt;" in shown[part.recipe]
    assert "<table" in shown[part.events]


def test_what_kept_encodings_take_is_said(services: Services) -> None:
    put(services, "kept1", status=JobStatus.SUCCEEDED)
    folder = services.workspace.home / "cache/encodings/key"
    assert "cache clear" not in jobs.list_html(services, "", "")
    folder.mkdir(parents=True)
    (folder / "part.safetensors").write_bytes(b"0" * 1_250_000)
    assert "1.2 MB on disk" in jobs.list_html(services, "", "")


def test_what_an_evaluation_was_is_not_said_in_words_of_training() -> None:
    """Its result counts looks at the split, a run's those at dev."""
    found = {"metric": "map@100", "split": "test", "looks": 3}
    done = make.job(status=JobStatus.SUCCEEDED, result=found)
    assert "highest of" not in jobs.card_html(replace(done, task="evaluate"))
    assert "highest of 3 evaluations" in jobs.card_html(replace(done, task="train-embedding"))
