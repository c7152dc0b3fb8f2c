"""A learning curve on the page: its drawing, its words, and the button that measures it."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from storage.records import JobStatus
from tests.ui.tabs.conftest import BAD, put
from tests.ui.tabs.conftest import services as services
from tests.ui.visitor import Visitor, build
from tests.workbench.data.fakes import bring, lines
from ui.kit.learning_curve import curve_html
from ui.services import Services
from ui.tabs.compare.curve import CurveSection
from ui.tabs.train.curve import card_html
from ui.words import speaking

MEASURED: dict[str, Any] = {
    "kind": "embedding", "model": BAD, "model_id": None, "dataset": "tea", "dataset_id": "d",
    "dataset_version": 2, "documents": 240, "metric": "map@100", "baseline": 0.5,
    "measured_queries": 90,
    "points": [
        {
            "share": share, "rows": rows, "queries": rows, "map@100": value, "low": value - 0.05,
            "high": value + 0.05, "folds": [value - 0.02, value, value + 0.02],
            "gain": value - 0.5, "gain_ci95": [value - 0.52, value - 0.48],
        }
        for share, rows, value in ((25, 100, 0.52), (50, 200, 0.55), (100, 400, 0.57))
    ],
    "fit": {"a": 0.65, "b": 0.5, "c": 0.3}, "rows": 600,
    "doubled": {"rows": 1200, "gain": 0.0138, "ci95": [0.0012, 0.0271]},
    "sentence": "Twice the labels: +0.014 [+0.001, +0.027] MAP@100. "
    "The curve still rises: more labels like these help.",
    "notes": ["Hardly anything is left to win."], "seconds": 60.0,
}  # fmt: skip


def test_a_curve_is_drawn_and_told() -> None:
    html = str(curve_html(MEASURED))
    assert "Twice the labels: +0.014 [+0.001, +0.027] MAP@100." in html
    assert "+0.070 [+0.050, +0.090]" in html
    assert "90 queries in 3 folds" in html
    assert "Hardly anything is left to win." in html
    assert "<script" not in html
    drawing = re.search("<svg.*</svg>", html, re.DOTALL)
    assert drawing
    svg = ElementTree.fromstring(drawing[0])
    kinds = [one.get("class") for one in svg.iter()]
    assert [kinds.count(kind) for kind in ("mean", "fold", "forecast", "interval")] == [3, 9, 1, 1]
    # All of it lies within the drawing, the means further right with more rows.
    means = [float(one.get("cx", 0)) for one in svg.iter() if one.get("class") == "mean"]
    assert 0 < means[0] < means[1] < means[2] < 340
    for name in ("y1", "y2", "cy", "y"):
        assert all(0 <= float(one.get(name, 1)) <= 230 for one in svg.iter())


def test_it_is_told_in_chinese() -> None:
    with speaking("zh"):
        html = str(curve_html(MEASURED))
    assert "标注数据翻倍：MAP@100 +0.014 [+0.001, +0.027]。曲线仍在上升" in html


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_a_flat_curve_can_be_drawn(value: float) -> None:
    flat = [{**one, "map@100": value, "folds": [value] * 3} for one in MEASURED["points"]]
    doubled = {"rows": 1200, "gain": 0.0, "ci95": [0.0, 0.0]}
    law = {"a": value, "b": 0.0, "c": 0.3}
    html = curve_html(
        {**MEASURED, "baseline": value, "points": flat, "fit": law, "doubled": doubled}
    )
    assert "nan" not in str(html)


def test_the_job_is_shown_until_it_is_done(services: Services) -> None:
    assert card_html(None) == ""
    running = put(services, "c1", task="learning-curve", status=JobStatus.RUNNING)
    assert "c1" in card_html(running)
    failed = put(
        services, "c2", task="learning-curve", status=JobStatus.FAILED, error={"message": "No."}
    )
    assert "No." in card_html(failed)
    done = put(services, "c3", task="learning-curve", status=JobStatus.SUCCEEDED, result=MEASURED)
    assert "<svg" in card_html(done)


@pytest.fixture
def tea(services: Services, tmp_path: Any) -> None:
    rows = [{"query": f"is {n} a tea", "pos": [f"tea {n}"]} for n in range(60)]
    path = lines(tmp_path / "train.jsonl", rows)
    bring(services.workspace, path, name="tea", dev_share=0, test_share=0)


def test_the_button_measures_what_is_chosen(services: Services, tea: None) -> None:
    page = build(services)
    visitor = Visitor(page)
    visitor.open(page.train)
    part = page.train.curve
    visitor.click(part.start)
    [job] = services.workspace.jobs.list(task="learning-curve")
    assert (job.recipe["dataset"], job.recipe["model"]) == ("tea", "all-MiniLM-L6-v2")
    assert job.recipe["dataset_version"] == 1
    assert f'data-job="{job.id}"' in visitor.value(part.job.card)
    # Only embedding models have curves.
    visitor.type(page.train.forms.kind, "reranker")
    visitor.fire(page.train.forms.kind, "change")
    assert not visitor.visible(part.start)


def test_compare_shows_the_newest_of_the_data_set(services: Services, tea: None) -> None:
    recipe = {"dataset": "tea", "model": "base"}
    about = {"task": "learning-curve", "recipe": recipe, "result": MEASURED}
    page = build(services)
    visitor = Visitor(page)
    visitor.open(page.compare)
    section = page.compare.section(CurveSection)
    visitor.fire(section.box, "expand")
    assert "No learning curve" in visitor.value(section.curve)
    put(services, "c1", status=JobStatus.SUCCEEDED, **about)
    put(services, "c2", status=JobStatus.RUNNING, **{**about, "result": None})
    visitor.fire(section.box, "expand")
    assert "<svg" in visitor.value(section.curve)
