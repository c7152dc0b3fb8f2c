"""What each kind of model says of itself holds together."""

from pathlib import Path
from string import Template

import pytest
import sentence_transformers

from workbench.errors import ModelUnusable
from workbench.model_kinds import MODEL_KINDS, ModelKind, encoding, first_stages, scoring, seeing
from workbench.models.contract import CONTRACT_FILE, Contract
from workbench.recipes.train import KINDS
from workbench.tasks import get_task

ALL = MODEL_KINDS.all()


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_what_it_names_is_there(kind: ModelKind) -> None:
    for where in (kind.training, kind.loaded, kind.assemble):
        assert callable(kind.load(where))
    training = kind.load(kind.training)()
    for step in ("start", "dev", "contract", "prepare"):
        assert callable(getattr(training, step))
    loaded = kind.load(kind.loaded)
    assert hasattr(loaded, "encode") == (kind.encodes or kind.token_vectors)
    assert hasattr(loaded, "score") == kind.scores
    assert hasattr(sentence_transformers, kind.library_class)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_its_recipe_and_its_task_have_its_name(kind: ModelKind) -> None:
    assert (kind.recipe.kind, kind.recipe.task) == (kind.name, kind.task)
    assert get_task(kind.task).recipe is KINDS[kind.name] is kind.recipe
    assert kind.recipe.model_fields and kind.recipe(dataset="d").model_kind is kind


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_its_card_takes_what_it_is_given(kind: ModelKind) -> None:
    assert "$" not in Template(kind.description).substitute(dimensions=8)
    assert kind.library_class in kind.snippet and "$where" in kind.snippet
    assert "retrieval" in kind.tags or "reranker" in kind.tags


def test_the_kinds_stand_in_their_order_and_do_what_they_say() -> None:
    assert tuple(KINDS) == ("embedding", "reranker", "late-interaction", "image-text")
    assert encoding() == ("embedding", "image-text")
    assert first_stages() == ("embedding",)
    assert scoring() == ("reranker", "late-interaction")
    assert seeing() == ("image-text",)
    assert MODEL_KINDS.get("image-text").noun == "an image-text model"
    assert "none" not in KINDS


def test_a_contract_of_a_kind_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / CONTRACT_FILE).write_text('{"kind": "gone"}', encoding="utf-8")
    with pytest.raises(ModelUnusable, match="kind: It must be 'embedding'"):
        Contract.read(tmp_path)
