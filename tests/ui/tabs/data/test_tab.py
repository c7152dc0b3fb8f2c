"""Data sets on the page: rows by page, problems, and text that stays text."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from storage.records import JobStatus
from tests.ui.tabs.conftest import BAD, put
from tests.ui.visitor import drawn
from tests.workbench.data.fakes import context
from ui.kit.cards import set_aside_text
from ui.services import Services
from ui.tabs.data.bring import name_from
from ui.tabs.data.rows import PAGE, RowsSection, summary_html
from ui.tabs.data.tab import DataTab, job_html
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


@pytest.fixture
def tab(services: Services) -> DataTab:
    return drawn(DataTab, services)


@pytest.fixture
def rows(tab: DataTab) -> RowsSection:
    return tab.section(RowsSection)


@pytest.mark.usefixtures("tea")
def test_rows_are_shown_a_page_at_a_time(rows: RowsSection) -> None:
    html, before, after, offset = rows.page("tea").values()
    assert html.count("<tr") == 1 + PAGE
    assert (before.interactive, after.interactive, offset) == (False, True, 0)
    html, before, after, _ = rows.page("tea", "", "", 30).values()
    assert html.count("<tr") == 2
    assert (before.interactive, after.interactive) == (True, False)


def test_rows_of_one_split_and_rows_that_hold_a_word(rows: RowsSection, tea: Dataset) -> None:
    test_rows = tea.summary["splits"]["test"]
    html = rows.page("tea", "test")[rows.table]
    assert html.count("<tr") == 1 + test_rows
    html = rows.page("tea", "", "QUESTION 17")[rows.table]
    assert "question 17" in html
    assert html.count("<tr") == 2
    assert "<table" not in rows.page("tea", "", "nowhere")[rows.table]


@pytest.mark.usefixtures("tea")
def test_a_script_in_the_data_is_text(rows: RowsSection) -> None:
    html = rows.page("tea", "", "script")[rows.table]
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
        "en": "Rows rejected: 1 · Lists read as text: 1 · Additional columns kept: 1 (note)",
        "zh": "被拒绝的行：1 · 按文本读取的列表：1 · 额外保留的列：1（note）",
    }
    for language, words in wanted.items():
        with speaking(language):
            html = summary_html(dataset)
            assert words in html
            assert html.index(words) < html.index("<dl")
            assert words in set_aside_text(dataset.summary)


@pytest.mark.usefixtures("tea")
def test_the_problem_names_its_line_and_code(rows: RowsSection) -> None:
    codes, code, listed, *_ = rows.problem_page("tea", "").values()
    assert "not-json (1)" in codes
    assert code == ""
    assert '<td class="number">3</td>' in listed
    assert "tea.jsonl" in listed
    assert "Correct the line" in listed
    assert "<table" not in rows.problem_page("tea", "empty-text")[rows.problems]


def test_too_few_queries_are_said(tea: Dataset) -> None:
    html = summary_html(tea)
    assert "too few queries to judge" in html
    enough = {**tea.summary, "too_few": False}
    same = Dataset(tea.id, tea.name, tea.created_at, tea.version, enough)
    assert "too few queries to judge</span>" not in summary_html(same)


@pytest.mark.usefixtures("tea")
def test_the_whole_view_of_a_data_set(tab: DataTab) -> None:
    shown = tab.refresh("tea")
    assert shown.keys() <= set(tab.outputs)
    assert shown[tab.chosen] == "tea"
    sets = shown[tab.sets]
    assert 'data-pick="tea"' in sets
    assert 'aria-pressed="true"' in sets


def test_with_no_data_it_says_what_to_do(tab: DataTab) -> None:
    assert "rw-empty" in tab.refresh("")[tab.sets]


@pytest.mark.usefixtures("tea")
def test_what_is_shown_is_chosen_and_what_is_being_made_stays_chosen(
    services: Services, tab: DataTab
) -> None:
    def chosen(picked: str) -> Any:
        return tab.refresh(picked)[tab.chosen]

    # A page that never chose pages through, renames and removes what it shows.
    assert chosen("") == chosen("gone") == "tea"
    about = {"task": "import", "recipe": {"paths": ["x"], "name": "coming"}}
    put(services, "imp", status=JobStatus.QUEUED, created_at=time.time(), **about)
    assert chosen("coming") == "coming"
    assert chosen("other") == "tea"


def test_a_refused_import_shows_its_lines(services: Services) -> None:
    problem = {
        "file": BAD,
        "line": 7,
        "field": "pos",
        "code": "no-positive",
        "severity": "error",
        "message": "Nothing is relevant.",
    }
    error = {"message": "Refused.", "hint": "Fix it.", "details": {"problems": [problem]}}
    recipe = {"paths": ["x"], "name": "x"}
    job = put(services, "imp", task="import", recipe=recipe, status=JobStatus.FAILED, error=error)
    html = job_html(job)
    assert "Refused. Fix it." in html
    assert '<td class="number">7</td>' in html
    assert "<script" not in html


def test_a_name_is_made_from_the_first_file() -> None:
    assert name_from(["/x/ab12/train.jsonl.gz", "/x/cd/other.csv"]) == "train"
