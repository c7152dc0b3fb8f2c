"""The form of a contract: what it shows, what it reads, and what it says at a field."""

from typing import Any

import pytest

from tests.workbench.models.fakes import write_modules
from ui.kit import events
from ui.services import Services
from ui.tabs.models import contract as editing
from ui.tabs.models import details
from workbench.errors import BadRecipe, InUse, WorkbenchError
from workbench.models.contract import Contract
from workbench.models.inspect import inspect_folder
from workbench.models.jobs import Edited, edit
from workbench.models.registry import new_model
from workbench.recipes.base import ContractRecipe

LLM = Contract(
    kind="reranker",
    architecture="llm",
    yes_token="yes",
    no_token="no",
    prompt_template="{query} {document}",
    title_separator="\n\n\n",
)


def raw(contract: Contract) -> list[Any]:
    return [update["value"] for update in editing.shown(contract, ("reranker",))]


def seen(contract: Contract) -> set[str]:
    updates = editing.shown(contract)
    return {name for name, one in zip(editing.NAMES, updates, strict=True) if one["visible"]}


@pytest.mark.parametrize("contract", [Contract(pooling="cls", query_prompt="q: "), LLM])
def test_what_is_shown_is_what_is_read(contract: Contract) -> None:
    wanted = ContractRecipe.read(editing.read(raw(contract), blank_is_own=False))
    assert wanted.title_separator == contract.title_separator
    assert wanted.query_max_len == contract.query_max_len
    if contract.kind == "embedding":
        assert (wanted.pooling, wanted.normalize, wanted.query_prompt) == ("cls", "yes", "q: ")
        assert wanted.document_prompt == ""
    else:
        assert (wanted.pooling, wanted.prompt_template) == ("auto", "{query} {document}")


def test_each_kind_has_its_fields() -> None:
    assert "pooling" in seen(Contract()) and "yes_token" not in seen(Contract())
    assert "prompt_template" in seen(LLM) and "pooling" not in seen(LLM)
    scored = Contract(kind="reranker", architecture="cross-encoder")
    assert seen(scored) == {"kind", "query_max_len", "passage_max_len", "title_separator"}


def test_blank_is_what_its_own_files_say_while_it_is_added() -> None:
    blank = ["auto" if spec.kind == "choice" else "" for spec in editing.SPECS]
    blank[editing.NAMES.index("title_separator")] = None
    assert ContractRecipe.read(editing.read(blank, blank_is_own=True)) == ContractRecipe()


def test_no_number_is_said_at_its_field() -> None:
    values = raw(Contract())
    values[editing.NAMES.index("query_max_len")] = "many"
    with pytest.raises(BadRecipe) as told:
        ContractRecipe.read(editing.read(values, blank_is_own=False))
    assert set(told.value.details["fields"]) == {"query_max_len"}


def refuse(error: Exception) -> Any:
    raise error


def test_a_refusal_stands_at_its_field_and_changes_nothing_else() -> None:
    helps = {"a": "help a", "b": "help b"}
    bad = BadRecipe("b: no.", fields={"b": "No."})
    # Gradio's toast is a warning of Python's where there is no page.
    with pytest.warns(UserWarning, match="b: No."):
        first, a, b = events.told_at_fields(lambda: refuse(bad), helps, 1)
    assert "value" not in first
    assert (a["info"], a["elem_classes"]) == ("help a", [])
    assert (b["info"], b["elem_classes"]) == ("No.", ["rw-refused"])
    done, a, b = events.told_at_fields(lambda: ["done"], helps, 1, cleared=("a",))
    assert (done, a["value"], b["info"]) == ("done", "", "help b")
    for error in (InUse("busy"), BadRecipe("busy", fields={"c": "."})):
        with pytest.warns(UserWarning, match="busy"):
            first, _, b = events.told_at_fields(lambda error=error: refuse(error), helps, 1)
        # What stood at a field before is mended, or this would have been said again.
        assert "value" not in first and (b["info"], b["elem_classes"]) == ("help b", [])
    with pytest.raises(WorkbenchError):
        events.told_at_fields(lambda: refuse(WorkbenchError("broken")), helps, 1)


def test_what_was_saved_is_said(services: Services) -> None:
    models = services.workspace.models
    id, folder = models.new_folder()
    contract = inspect_folder(write_modules(folder)).contract
    about = {"origin": "added"}
    model = models.add(new_model(id, "mine", contract=contract.model_dump(), summary=about))
    done = edit(services.workspace, "mine", ContractRecipe(query_prompt="<b>"))
    assert "Saved: Query prompt." in editing.said_html(done)
    assert "&lt;b&gt;" in details.details_html(services, done.model)
    assert "already" in editing.said_html(Edited(model, (), ()))
    noted = editing.said_html(Edited(model, ("pooling",), ("The <i>index</i>",)))
    assert "<li>The &lt;i&gt;index" in noted
