"""Data sets on the page: rows by page, problems, and text that stays text."""

import json
import time
from pathlib import Path

import pytest

from storage.records import JobStatus
from tests.ui.tabs.conftest import BAD, put
from tests.workbench.data.fakes import context
from ui.cards import set_aside_text
from ui.services import Services
from ui.tabs import data, data_rows
from ui.words import speaking
from workbench.data.job import run_import
from workbench.recipes.data import ImportRecipe
from workbench.records import Dataset


@pytest.fixture
def tea(services: Services, tmp_path: Path) -> Dataset:
    rows = [
        {"query": f"question {n}", "pos": [f"answer {n}"], "neg": [f"wrong {n}"]} for n in range(30)
    ]
    rows.append({"query": BAD, "pos": [BAD + " answer"], "neg": []})
    lines = [json.dumps(row) for row in rows]
    lines.insert(2, '{"query": "half')
    path = tmp_path / "tea.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    recipe = ImportRecipe(paths=[str(path)], name="tea")
    run_import(recipe, context(services.workspace))
    return services.workspace.datasets.get("tea")


def test_rows_are_shown_a_page_at_a_time(services: Services, tea: Dataset) -> None:
    html, before, after, offset = data_rows.page(services, "tea", "", "", 0)
    assert html.count("<tr") == 1 + data_rows.PAGE
    assert (before.interactive, after.interactive, offset) == (False, True, 0)
    html, before, after, _ = data_rows.page(services, "tea", "", "", 30)
    assert html.count("<tr") == 2
    assert (before.interactive, after.interactive) == (True, False)


def test_rows_of_one_split_and_rows_that_hold_a_word(services: Services, tea: Dataset) -> None:
    test_rows = tea.summary["splits"]["test"]
    html = data_rows.page(services, "tea", "test", "", 0)[0]
    assert html.count("<tr") == 1 + test_rows
    html = data_rows.page(services, "tea", "", "QUESTION 17", 0)[0]
    assert "question 17" in html
    assert html.count("<tr") == 2
    assert "<table" not in data_rows.page(services, "tea", "", "nowhere", 0)[0]


def test_a_script_in_the_data_is_text(services: Services, tea: Dataset) -> None:
    html = data_rows.page(services, "tea", "", "script", 0)[0]
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "<img" not in html


def test_what_was_not_read_as_sent_is_counted_first(services: Services, tmp_path: Path) -> None:
    rows = [{"query": "q", "pos": ["['a', 'b']"], "note": "x"}, {"query": "r"}]
    path = tmp_path / "aside.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    run_import(ImportRecipe(paths=[str(path)], name="aside"), context(services.workspace))
    dataset = services.workspace.datasets.get("aside")
    wanted = {
        "en": "Rows refused: 1 · Lists read as text: 1 · Columns kept aside: 1 (note)",
        "zh": "被拒绝的行：1 · 按文本读取的列表：1 · 另行保留的列：1（note）",
    }
    for language, words in wanted.items():
        with speaking(language):
            html = data_rows.summary_html(dataset)
            assert words in html
            assert html.index(words) < html.index("<dl")
            assert words in set_aside_text(dataset.summary)


def test_the_problem_names_its_line_and_code(services: Services, tea: Dataset) -> None:
    codes, code, listed, *_ = data_rows.problem_page(services, "tea", "", 0)
    assert "not-json (1)" in codes
    assert code == ""
    assert '<td class="number">3</td>' in listed
    assert "tea.jsonl" in listed
    assert "Correct the line" in listed
    assert "<table" not in data_rows.problem_page(services, "tea", "empty-text", 0)[2]


def test_too_few_queries_are_said(services: Services, tea: Dataset) -> None:
    html = data_rows.summary_html(tea)
    assert "too few queries to judge" in html
    enough = {**tea.summary, "too_few": False}
    same = Dataset(tea.id, tea.name, tea.created_at, tea.version, enough)
    assert "too few queries to judge</span>" not in data_rows.summary_html(same)


def test_the_whole_view_of_a_data_set(services: Services, tea: Dataset) -> None:
    shown = data.view(services, "tea")
    assert shown[0] == "tea"
    sets = shown[5]
    assert 'data-pick="tea"' in sets
    assert 'aria-pressed="true"' in sets


def test_with_no_data_it_says_what_to_do(services: Services) -> None:
    assert "rw-empty" in data.view(services, "")[5]


def test_what_is_shown_is_chosen_and_what_is_being_made_stays_chosen(
    services: Services, tea: Dataset
) -> None:
    # A page that never chose pages through, renames and removes what it shows.
    assert data.view(services, "")[0] == data.view(services, "gone")[0] == "tea"
    about = {"task": "import", "recipe": {"paths": ["x"], "name": "coming"}}
    put(services, "imp", status=JobStatus.QUEUED, created_at=time.time(), **about)
    assert data.view(services, "coming")[0] == "coming"
    assert data.view(services, "other")[0] == "tea"


def test_a_refused_import_shows_its_lines(services: Services) -> None:
    problem = {
        "file": BAD,
        "line": 7,
        "field": "pos",
        "code": "no-positive",
        "severity": "error",
        "message": "Nothing is relevant.",
    }
    error = {"message": "Refused.", "hint": "Mend it.", "details": {"problems": [problem]}}
    recipe = {"paths": ["x"], "name": "x"}
    job = put(services, "imp", task="import", recipe=recipe, status=JobStatus.FAILED, error=error)
    html = data.job_html(job)
    assert "Refused. Mend it." in html
    assert '<td class="number">7</td>' in html
    assert "<script" not in html


def test_a_name_is_made_from_the_first_file() -> None:
    assert data_rows.name_from(["/x/ab12/train.jsonl.gz", "/x/cd/other.csv"]) == "train"
