"""Agents get answers with their sources, by the model that a person has set up."""

import pytest

from tests.workbench.answers.conftest import FakeSearch
from tests.workbench.synthesis.server import Server
from workbench.agents import Tools
from workbench.answers import answer
from workbench.errors import BadInput, IndexNotFound, SearchUnavailable
from workbench.recipes.answer import AnswerRecipe
from workbench.workspace import Workspace


def test_an_agent_gets_an_answer(workspace: Workspace, server: Server, search: FakeSearch) -> None:
    tools = Tools(workspace, search)  # type: ignore[arg-type]
    about = {"endpoint": server.url, "endpoint_model": "m", "min_score": 0.2}
    answer.save_settings(workspace, AnswerRecipe.read({"index": "x", **about}))
    server.manner = lambda handler, _: handler.stream("Three minutes [1].")
    told = tools.answer("tea", "How long?")
    assert (told["state"], told["answer"], told["writer"]) == (
        "answered",
        "Three minutes [1].",
        "m",
    )
    assert [(one["number"], one["cited"]) for one in told["passages"]] == [(1, True), (2, False)]
    answer.save_settings(workspace, AnswerRecipe(index="x", min_score=2.0))
    assert (tools.answer("tea", "How long?")["state"]) == "nothing-found"
    with pytest.raises(IndexNotFound):
        tools.answer("none", "How long?")
    with pytest.raises(BadInput):
        tools.answer("tea", " ")
    with pytest.raises(SearchUnavailable):
        Tools(workspace, None).answer("tea", "How long?")
