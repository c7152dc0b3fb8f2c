"""The preview of dropped files, and data sets that have no queries."""

from pathlib import Path

import pytest

from tests.ui.tabs.conftest import BAD
from tests.ui.visitor import drawn
from tests.workbench.data.fakes import context, lines
from ui.services import Services
from ui.tabs.data.bring import ROLES, mapping_of, preview_html, role_menus
from ui.tabs.data.rows import RowsSection, summary_html
from ui.tabs.data.tab import DataTab, trains
from workbench.data import mapping
from workbench.data.job import run_import
from workbench.data.preview import preview
from workbench.recipes.data import ImportRecipe
from workbench.records import Dataset


def bring(services: Services, path: Path, name: str) -> Dataset:
    run_import(ImportRecipe(paths=[str(path)], name=name), context(services.workspace))
    return services.workspace.datasets.get(name)


def test_the_preview_shows_text_as_text(services: Services, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"query": BAD, "pos": [BAD + " answer"]}])
    html = preview_html(preview(services.workspace, ImportRecipe(paths=[str(path)], name="-")))
    assert "&lt;script&gt;" in html
    assert "<script" not in html
    assert "a.jsonl:1" in html


def test_unknown_columns_fill_the_menus_with_a_guess() -> None:
    menus = role_menus(["frage", "antwort", "x"], ["query=frage", "negative=x"])
    values = dict(zip(ROLES, (menu["value"] for menu in menus), strict=True))
    assert values["query"] == "frage"
    assert values["negative"] == ["x"]
    assert values["positive"] is None
    assert ("antwort", "antwort") in menus[1]["choices"]
    raw = [values[role] for role in ROLES]
    assert mapping_of(raw) == ["query=frage", "negative=x"]


def test_why_a_file_cannot_be_read_is_shown(services: Services, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4 nothing")
    recipe = ImportRecipe(paths=[str(tmp_path / "a.pdf")], name="-")
    assert "cannot be read" in preview_html(preview(services.workspace, recipe))


def test_documents_alone_are_shown_and_not_trained_on(services: Services, tmp_path: Path) -> None:
    (tmp_path / "guide.md").write_text("# Guide\n\n" + BAD + "\n\n## Use\n\nIt is used.\n")
    dataset = bring(services, tmp_path / "guide.md", "guide")
    html, before, after, _ = drawn(DataTab, services).section(RowsSection).page("guide").values()
    assert "guide.md, Guide &gt; Use" in html
    assert "<script" not in html
    assert (before.interactive, after.interactive) == (False, False)
    assert not trains(dataset)


@pytest.mark.parametrize(("split", "rows"), [("", 10), ("test", 2)])
def test_scored_pairs_are_shown_by_page(
    split: str, rows: int, services: Services, tmp_path: Path
) -> None:
    pairs = [{"text1": f"l{n}", "text2": f"r{n}", "score": n / 8} for n in range(24)]
    dataset = bring(services, lines(tmp_path / "sts.jsonl", pairs), f"sts{split}")
    section = drawn(DataTab, services).section(RowsSection)
    html, _, after, _ = section.page(dataset.name, split).values()
    assert html.count("<tr") == 1 + rows
    assert after.interactive is (split == "")
    assert "Scored pairs" in summary_html(dataset)
    assert trains(dataset)


def test_every_role_that_a_column_may_have_is_on_the_page() -> None:
    assert ROLES.keys() == mapping.ROLES.keys()
