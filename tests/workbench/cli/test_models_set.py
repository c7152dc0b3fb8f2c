"""``models set`` and the contract's options of ``models add``."""

import json
from pathlib import Path

import pytest

from tests.workbench.models.fakes import write_modules
from workbench.cli.main import build_parser, main
from workbench.cli.running import read_values
from workbench.models.inspect import inspect_folder
from workbench.models.registry import new_model
from workbench.recipes.data import AddModelRecipe
from workbench.workspace import Workspace


@pytest.fixture
def added(home: Path) -> Path:
    workspace = Workspace.open(home)
    id, folder = workspace.models.new_folder()
    contract = inspect_folder(write_modules(folder)).contract
    about = {"origin": "added"}
    workspace.models.add(new_model(id, "mine", contract=contract.model_dump(), summary=about))
    workspace.close()
    return home


def run(home: Path, *words: str) -> int:
    return main(["--home", str(home), "models", *words])


def test_a_contract_is_set(added: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(added, "set", "mine", "pooling=cls", "query_prompt=query: ", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["model"], said["changed"]) == ("mine", ["pooling", "query_prompt"])
    assert said["contract"]["query_prompt"] == "query: "
    assert run(added, "set", "mine", "pooling=cls") == 0
    assert "used like this already" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("dimensions=3", "follows from the model's weights"),
        ("colour=red", "no field named 'colour'"),
        ("causal=yes", "Only decoders can use causal attention"),
        ("query_max_len=1000", "at most 512 tokens"),
        ("pooling=best", "pooling: It must be"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(
    added: Path, capsys: pytest.CaptureFixture[str], setting: str, sentence: str
) -> None:
    assert run(added, "set", "mine", setting) == 2
    assert sentence in capsys.readouterr().err


def test_adding_takes_the_contracts_fields() -> None:
    words = ["models", "add", "there", "--kind", "reranker", "--set", "yes_token=ja"]
    args = build_parser().parse_args([*words, "--query-max-len", "32"])
    found = AddModelRecipe.read(read_values(args, AddModelRecipe))
    assert (found.source, found.kind, found.yes_token) == ("there", "reranker", "ja")
    assert found.query_max_len == 32
