"""Hard negatives on the Data tab: the proposal, its pages, ticks, and accepting."""

from pathlib import Path
from typing import Any

import pytest

from storage.records import JobStatus
from tests.ui.tabs.conftest import BAD, put
from tests.ui.visitor import drawn
from tests.workbench.data.fakes import bring, context, lines
from ui.services import Services
from ui.tabs.data.mine import MineSection
from ui.tabs.data.tab import DataTab
from workbench.errors import BadInput
from workbench.mining.mine import run
from workbench.mining.proposal import NEGATIVE, Proposal, accept
from workbench.prepare import prepare
from workbench.recipes.mine import MineRecipe


@pytest.fixture
def proposal(services: Services, tmp_path: Path) -> Proposal:
    """Twelve queries; BM25 finds the other queries' documents, which hold a script."""
    rows = [
        {"query": f"question {n} about tea", "pos": [f"tea answer {n} {BAD}"]} for n in range(12)
    ]
    file = lines(tmp_path / "train.jsonl", rows)
    bring(services.workspace, file, name="tea", dev_share=0, test_share=0)
    return mined(services, method="bm25", num_negatives=3)


def mined(services: Services, **values: Any) -> Proposal:
    workspace = services.workspace
    recipe = prepare(MineRecipe.read({"dataset": "tea", **values}), workspace)
    made = context(workspace)
    result = run(recipe, made)
    about = {"recipe": recipe.model_dump(mode="json"), "status": JobStatus.SUCCEEDED}
    job = put(services, made.folder.name, task="mine", result=result, **about)
    return Proposal(workspace, job)


def parts(services: Services, *more: Any) -> dict[str, Any]:
    """What the section shows, by its components' names; ``more``: above, offset."""
    section = drawn(DataTab, services).section(MineSection)
    shown = section.view(services.workspace.datasets.get("tea"), more or None)
    names = ("proposal", "pages", "above", "table", "leave", "accept")
    found = {name: shown.get(getattr(section, name)) for name in names}
    pager = {"previous": section.pager.previous, "next": section.pager.next}
    found |= {name: shown.get(button) for name, button in pager.items()}
    return {**found, "job": shown[section.job.card]}


def test_a_proposal_is_shown_page_by_page(services: Services, proposal: Proposal) -> None:
    shown = parts(services)
    assert f"Proposal: {proposal.result['negatives']} negatives for 12 queries" in shown["proposal"]
    assert "found by bm25" in shown["proposal"] and "not accepted yet" in shown["proposal"]
    assert shown["table"].count("data-pick") == 5 * 3
    assert "<script" not in shown["table"] and "&lt;script&gt;" in shown["table"]
    assert "Queries 1 to 5 of 12" in shown["table"]
    assert not shown["previous"].interactive and shown["next"].interactive
    last = parts(services, False, 10)
    assert "Queries 11 to 12 of 12" in last["table"] and not last["next"].interactive
    # Nothing of BM25's can be above a positive that it has no score for.
    assert shown["above"]["visible"] is False and not shown["leave"].visible


def test_one_is_left_out_and_the_rest_accepted(services: Services, proposal: Proposal) -> None:
    row = proposal.page(0, 1)[0]
    proposal.tick(row.query, row.negatives[1].document)
    shown = parts(services)
    assert shown["table"].count("restore") == 1 and "Excluded by hand" in shown["proposal"]
    assert accept(services.workspace, proposal.job.id) == 2
    shown = parts(services)
    assert "accepted as version 2" in shown["proposal"] and "data-pick" not in shown["table"]
    assert not shown["accept"].visible
    kept = services.workspace.datasets.read("tea").counts["candidates"]
    assert kept == proposal.result["negatives"] - 1


def test_the_newest_is_shown_and_a_failed_job_says_why(
    services: Services, proposal: Proposal
) -> None:
    later = mined(services, method="random", num_negatives=2)
    error = {"code": "x", "message": "It went wrong.", "hint": ""}
    put(
        services,
        "failed",
        task="mine",
        recipe={"dataset": "tea"},
        status=JobStatus.FAILED,
        error=error,
        created_at=9e9,
    )
    shown = parts(services)
    assert "It went wrong." in shown["job"]
    assert later.job.id != proposal.job.id and shown["proposal"].count("data-proposal") == 1


def test_a_data_set_of_that_name_that_came_later_has_none(
    services: Services, proposal: Proposal, tmp_path: Path
) -> None:
    services.workspace.datasets.remove("tea")
    rows = [{"query": f"other {n}", "pos": [f"text {n}"]} for n in range(4)]
    bring(services.workspace, lines(tmp_path / "new.jsonl", rows), name="tea")
    assert parts(services)["pages"].visible is False
    with pytest.raises(BadInput, match="no longer exists"):
        accept(services.workspace, proposal.job.id)


def test_without_queries_there_is_nothing_to_mine(services: Services, tmp_path: Path) -> None:
    section = drawn(DataTab, services).section(MineSection)
    assert section.view(None, None)[section.box].visible is False
    (tmp_path / "a.txt").write_text("only a text", encoding="utf-8")
    bring(services.workspace, tmp_path / "a.txt", name="texts")
    texts = services.workspace.datasets.get("texts")
    assert section.view(texts, None)[section.box].visible is False


def test_above_the_positive_can_be_left_out_at_once(services: Services, proposal: Proposal) -> None:
    """A proposal whose negatives have scores, every other one above the positive."""
    import pyarrow as pa

    from workbench.mining.proposal import SCHEMA, write

    rows = proposal.table.to_pylist()
    for at, row in enumerate(rows):
        row["positive_score"], row["score"] = 0.5, 0.9 if at % 2 else 0.1
    folder = services.workspace.jobs.folder(proposal.job.id)
    write(folder, pa.Table.from_pylist(rows, schema=SCHEMA))
    fresh = Proposal(services.workspace, proposal.job)
    above = [row for row in rows if row["part"] == NEGATIVE and row["score"] > 0.5]
    assert len(fresh.queries(above=True)) == len({row["query"] for row in above}) > 0
    assert fresh.leave_out_above() == len(above) == len(fresh.unticked)
