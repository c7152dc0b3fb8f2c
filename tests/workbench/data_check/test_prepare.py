"""What cannot judge is refused at the click, and not in the worker."""

from collections.abc import Callable

import pytest

from workbench.data.reader import DatasetReader
from workbench.data_check import check
from workbench.errors import BadInput
from workbench.evaluation.named import Named
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel
from workbench.prepare import prepare
from workbench.recipes.data import DataCheckRecipe
from workbench.workspace import Workspace


@pytest.mark.parametrize(
    ("judge", "sentence"),
    [("bm25", "BM25 cannot judge"), ("sees", "'sees' cannot judge: it compares texts with")],
)
@pytest.mark.parametrize("waits", [False, True])
def test_a_judge_must_compare_texts(
    data: Callable[..., DatasetReader],
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    judge: str,
    sentence: str,
    waits: bool,
) -> None:
    if judge == "sees":
        # A CLIP-like model on disk would need weights.
        found = Named(judge, ResolvedModel(judge, "", Contract(kind="image-text"), None))
        monkeypatch.setattr(check, "find", lambda *_: found)
    read = data(train=[{"query": "tea", "pos": ["a cup of tea"], "neg": ["coffee"]}])
    with pytest.raises(BadInput, match=sentence) as told:
        prepare(DataCheckRecipe(dataset=read.name, judge=judge), workspace, waits)
    assert "Choose an embedding model or a reranker" in told.value.hint


def test_other_models_may(data: Callable[..., DatasetReader], workspace: Workspace) -> None:
    read = data(train=[{"query": "tea", "pos": ["a cup of tea"], "neg": ["coffee"]}])
    recipe = DataCheckRecipe(dataset=read.name, judge="all-MiniLM-L6-v2")
    assert prepare(recipe, workspace, False).dataset_version == 1
