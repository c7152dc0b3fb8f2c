"""The form of a contract: what it shows, what it reads, and what it says at a field."""

from typing import Any

import pytest

from tests.ui.visitor import drawn
from tests.workbench.models.fakes import write_modules
from ui.services import Services
from ui.tabs.models import details
from ui.tabs.models.contract import NAMES, SPECS, Fields, read, said_html
from workbench.errors import BadRecipe
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
    found = drawn(Fields, "contract", "").view(contract, ("reranker",))
    return [update["value"] for update in found.values()]


def seen(contract: Contract) -> set[str]:
    fields = drawn(Fields, "contract", "")
    updates = fields.view(contract)
    return {name for name, one in fields.components.items() if updates[one]["visible"]}


@pytest.mark.parametrize("contract", [Contract(pooling="cls", query_prompt="q: "), LLM])
def test_what_is_shown_is_what_is_read(contract: Contract) -> None:
    wanted = ContractRecipe.read(read(raw(contract), blank_is_own=False))
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
    blank = ["auto" if spec.kind == "choice" else "" for spec in SPECS]
    blank[NAMES.index("title_separator")] = None
    assert ContractRecipe.read(read(blank, blank_is_own=True)) == ContractRecipe()


def test_no_number_is_said_at_its_field() -> None:
    values = raw(Contract())
    values[NAMES.index("query_max_len")] = "many"
    with pytest.raises(BadRecipe) as told:
        ContractRecipe.read(read(values, blank_is_own=False))
    assert set(told.value.details["fields"]) == {"query_max_len"}


def test_what_was_saved_is_said(services: Services) -> None:
    models = services.workspace.models
    id, folder = models.new_folder()
    contract = inspect_folder(write_modules(folder)).contract
    about = {"origin": "added"}
    model = models.add(new_model(id, "mine", contract=contract.model_dump(), summary=about))
    done = edit(services.workspace, "mine", ContractRecipe(query_prompt="<b>"))
    assert "Saved: Query prompt." in said_html(done)
    assert "&lt;b&gt;" in details.details_html(services, done.model)
    assert "already" in said_html(Edited(model, (), ()))
    noted = said_html(Edited(model, ("pooling",), ("The <i>index</i>",)))
    assert "<li>The &lt;i&gt;index" in noted
