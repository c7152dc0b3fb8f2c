"""What stops at the click: bad addresses, templates, models, and keys in wrong places."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.synthesis.conftest import KEY, Asking
from workbench.endpoints import EndpointKeys
from workbench.errors import BadInput, BadRecipe, DatasetNotFound, ModelUnusable, NotFound
from workbench.prepare import prepare
from workbench.recipes.synthesize import SynthesizeRecipe
from workbench.synthesis.answers import CHINESE, ENGLISH, is_chinese
from workbench.workspace import Workspace

GOOD: dict[str, Any] = {"dataset": "tea", "endpoint": "https://host/v1/", "endpoint_model": "m"}


def test_an_address_is_taken_without_its_last_slash() -> None:
    assert SynthesizeRecipe.read(GOOD).endpoint == "https://host/v1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": "host:8000"},
        {"endpoint": "ftp://host"},
        {"endpoint": f"https://{KEY}@host/v1"},
        {"endpoint": f"https://host/v1?api-key={KEY}"},
        {"key_variable": KEY},
        {"key_variable": "gsk_abc0123"},
        {"endpoint_model": " "},
        {"endpoint": "", "endpoint_model": ""},
        {"local_model": "qwen"},
        {"template_en": "Write {n} questions."},
        {"template_zh": "写"},
        {"dev_share": 0.5, "test_share": 0.5},
        {"questions": 0},
    ],
)
def test_what_a_recipe_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadRecipe) as caught:
        SynthesizeRecipe.read({**GOOD, **wrong})
    assert KEY not in json.dumps(caught.value.to_dict())


def test_what_is_missing_is_said_at_its_field() -> None:
    def said(**more: Any) -> set[str]:
        with pytest.raises(BadRecipe) as caught:
            SynthesizeRecipe.read({"dataset": "tea", **more})
        return set(caught.value.details["fields"])

    assert said() == {"local_model"}
    assert said(endpoint="https://host") == {"endpoint_model"}
    assert said(endpoint="nowhere") == {"endpoint"}


def test_version_and_templates_are_pinned(asking: Asking, workspace: Workspace) -> None:
    ready = prepare(SynthesizeRecipe.read({**GOOD, "round_trip": "bm25"}), workspace)
    assert (ready.dataset_version, ready.template_en, ready.template_zh) == (1, ENGLISH, CHINESE)


def test_the_key_that_may_be_sent_is_pinned(asking: Asking, workspace: Workspace) -> None:
    """So that resuming sends no other; a job without one stays without."""
    recipe = SynthesizeRecipe.read({**GOOD, "round_trip": "bm25"})
    assert prepare(recipe, workspace).key_variable == ""
    workspace.endpoint_keys = EndpointKeys.read(["MY_KEY=https://host", "OTHER=https://host"])
    assert prepare(recipe, workspace).key_variable == "MY_KEY"
    chosen = recipe.model_copy(update={"key_variable": "OTHER"})
    assert prepare(chosen, workspace).key_variable == "OTHER"


def test_unknown_names_stop(asking: Asking, workspace: Workspace) -> None:
    def asked(**more: Any) -> SynthesizeRecipe:
        recipe = SynthesizeRecipe.read({**GOOD, "round_trip": None, **more})
        return prepare(recipe, workspace)

    assert asked().round_trip is None
    with pytest.raises(DatasetNotFound):
        asked(dataset="coffee")
    with pytest.raises(NotFound):
        asked(round_trip="no-such-model")
    with pytest.raises(NotFound):
        asked(endpoint="", endpoint_model="", local_model="no-such-model")


def test_a_model_that_cannot_write_stops(
    asking: Asking, workspace: Workspace, tmp_path: Path
) -> None:
    from tests.workbench.models.fakes import write_plain

    def asked(folder: Path) -> SynthesizeRecipe:
        about = {"dataset": "tea", "local_model": str(folder), "round_trip": "bm25"}
        return prepare(SynthesizeRecipe.read(about), workspace)

    folder = write_plain(tmp_path / "bert")
    with pytest.raises(BadInput, match="cannot write"):
        asked(folder)
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["Qwen2ForCausalLM"]
    (folder / "config.json").write_text(json.dumps(config))
    assert asked(folder).local_model == str(folder)
    with pytest.raises(ModelUnusable):
        asked(tmp_path / "nowhere")


def test_chinese_is_told_from_its_characters() -> None:
    assert is_chinese("绿茶（green tea）不发酵")
    assert not is_chinese("The word 茶 means tea in Chinese, and is read cha")
    assert not is_chinese("") and not is_chinese("123")
