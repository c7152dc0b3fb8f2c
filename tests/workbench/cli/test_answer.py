"""``answer``: streamed to the terminal, or one JSON document; a failure loses nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.records import Index
from tests.storage import make
from tests.workbench.answers.conftest import FakeSearch
from tests.workbench.synthesis.server import Server, serving
from workbench.answers import answer
from workbench.cli.main import main
from workbench.recipes.answer import AnswerRecipe
from workbench.workspace import Workspace


class Closing(FakeSearch):
    def __init__(self, _workspace: Workspace) -> None:
        super().__init__()

    def close(self) -> None:
        return None


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as one:
        yield one


@pytest.fixture(autouse=True)
def tea(home: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setattr("workbench.search.client.SearchClient", Closing)
    workspace = Workspace.open(home)
    index = workspace.store.indexes.insert(make.index("i1", "tea"))
    workspace.close()
    return index


def run(home: Path, *more: str) -> int:
    return main(["answer", "tea", "How long?", "--home", str(home), "--min-score", "0.2", *more])


def through(server: Server) -> list[str]:
    return ["--endpoint", server.url, "--endpoint-model", "m"]


def test_one_json_document(home: Path, server: Server, capsys: Any) -> None:
    server.manner = lambda handler, _: handler.stream("Three minutes [1].")
    assert run(home, *through(server), "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["state"], said["answer"]) == ("answered", "Three minutes [1].")
    assert said["citations"] == [{"number": 1, "id": "d0", "title": "Title 0"}]
    assert [one["id"] for one in said["passages"]] == ["d0", "d1", "d2"]
    assert {"encode", "search", "first_token", "write", "total"} == set(said["milliseconds"])


def test_streamed_to_the_terminal_with_its_sources(home: Path, server: Server, capsys: Any) -> None:
    server.manner = lambda handler, _: handler.stream("Three ", "minutes [1]. Or four [9].")
    assert run(home, *through(server)) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Three minutes [1]. Or four")
    assert "[1] d0  0.900  Title 0 Text 0 about tea." in out and "d1" not in out
    assert "no passage has these numbers: [9]" in err and "first token" in err


def test_the_passages_alone_say_how_to_get_answers(home: Path, capsys: Any) -> None:
    assert run(home) == 0
    out, err = capsys.readouterr()
    assert out.count("about tea") == 3 and out.count("score too low") == 1
    assert "--endpoint" in err


def test_nothing_relevant(home: Path, server: Server, capsys: Any) -> None:
    assert run(home, "--min-score", "0.99", *through(server)) == 0
    assert "Nothing relevant was found. No passage scores at least 0.990" in capsys.readouterr().err
    assert server.asked == []


def test_a_failure_ends_with_one_and_loses_nothing(home: Path, server: Server, capsys: Any) -> None:
    server.manner = lambda handler, _: handler.stream("Three minutes [1] and", finish=None)
    assert run(home, *through(server), "--json") == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert "broke the answer off" in error["message"]
    assert error["details"]["answer"]["answer"] == "Three minutes [1] and"
    assert run(home, *through(server)) == 1
    out, err = capsys.readouterr()
    assert out.startswith("Three minutes [1] and") and "broke the answer off" in err


def test_kept_settings_count_and_typed_ones_more(home: Path, server: Server, capsys: Any) -> None:
    workspace = Workspace.open(home)
    recipe = AnswerRecipe(index="x", endpoint=server.url, endpoint_model="kept", top_k=2)
    answer.save_settings(workspace, recipe)
    workspace.close()
    server.manner = lambda handler, _: handler.stream("Three minutes [1].")
    assert run(home, "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["writer"], len(said["passages"])) == ("kept", 2)
    assert run(home, "--json", "--endpoint-model", "typed", "--top-k", "1") == 0
    assert json.loads(capsys.readouterr().out)["writer"] == "typed"


def test_a_key_goes_where_its_address_was_typed(
    home: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """Kept settings and recipe files come from others: there the pair is to be named."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-usual")
    monkeypatch.setenv("MY_KEY", "sk-mine")
    server.manner = lambda handler, _: handler.stream("Three minutes [1].")
    settings = ["--set", f"endpoint={server.url}", "--set", "key_variable=MY_KEY"]
    for typed in (through(server), [*through(server), "--key-variable", "MY_KEY"], settings):
        assert run(home, "--endpoint-model", "m", *typed) == 0
    assert server.keys == ["Bearer sk-usual", "Bearer sk-mine", "Bearer sk-mine"]
    server.keys.clear()

    workspace = Workspace.open(home)
    answer.save_settings(
        workspace, AnswerRecipe(index="x", endpoint=server.url, endpoint_model="kept")
    )
    workspace.close()
    file = tmp_path / "recipe.json"
    about = {"endpoint": server.url, "endpoint_model": "m", "key_variable": "MY_KEY"}
    file.write_text(json.dumps(about))
    assert run(home) == 0
    assert server.keys == ["Bearer none"]
    assert run(home, "--recipe", str(file)) == 2
    said = capsys.readouterr().err
    assert "MY_KEY may not be sent to" in said and f"--endpoint-key MY_KEY={server.origin}" in said
    assert run(home, "--recipe", str(file), "--endpoint-key", f"MY_KEY={server.origin}") == 0
    assert server.keys == ["Bearer none", "Bearer sk-mine"]
    assert run(home, "--endpoint-key", "nonsense") == 2


def test_bad_input_is_two(home: Path, capsys: Any) -> None:
    assert run(home, "--endpoint", "ftp://x") == 2
    assert run(home, "--top-k", "0") == 2
    assert main(["answer", "none", "How long?", "--home", str(home)]) == 2
    assert main(["answer", "tea", " ", "--home", str(home)]) == 2
