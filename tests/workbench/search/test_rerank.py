"""A search with a real (tiny) cross-encoder or late-interaction model as its second stage."""

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeContext
from workbench.errors import ModelNotFound, ModelUnusable
from workbench.models.inspect import inspect_folder
from workbench.models.registry import new_model
from workbench.recipes.data import ImportRecipe
from workbench.recipes.evaluate import IndexRecipe
from workbench.search.client import SearchClient
from workbench.search.protocol import Search, Status
from workbench.workspace import Workspace

# Importing sentence-transformers takes 6 to 11 seconds, here and once more in the search process.
pytestmark = pytest.mark.slow

QUERY = "the lazy dog"
KINDS = ["orders", "colbert"]


def cross_encoder(folder: Path, seed: int) -> Path:
    """A tiny BERT with a score head, as transformers saves it."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(seed)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(
        vocab_size=4 + len(tiny.WORDS),
        intermediate_size=64,
        max_position_embeddings=64,
        num_labels=1,
        **shape,
    )
    made = BertForSequenceClassification(config)
    for weight in made.parameters():
        weight.data.mul_(5.0)
    made.save_pretrained(folder)
    tiny.tokenizer(folder)
    return folder


def late_interaction(folder: Path) -> Path:
    from sentence_transformers import MultiVectorEncoder

    MultiVectorEncoder(str(tiny.bert(folder / "base", seed=4)), device="cpu").save_pretrained(
        str(folder / "colbert")
    )
    return folder / "colbert"


def corpus(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    lines: list[dict[str, Any]] = [{"query": QUERY, "pos": ["the dog sat on the mat"]}]
    for number in range(39):
        words = " ".join(rng.choice(tiny.WORDS, size=8))
        lines.append({"query": f"{words} fox {number}", "pos": [f"{words} {number}"]})
    path = folder / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


def put_model(workspace: Workspace, name: str, source: Path) -> None:
    id, folder = workspace.models.new_folder()
    shutil.copytree(source, folder, dirs_exist_ok=True)
    contract = inspect_folder(folder).contract.model_dump()
    workspace.models.add(new_model(id, name, contract=contract, summary={}))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    from workbench.data.job import run_import
    from workbench.prepare import prepare
    from workbench.search.making import run_build

    folder = tmp_path_factory.mktemp("rerank")
    workspace = Workspace.open(folder / "home")
    context = FakeContext(workspace)
    recipe = ImportRecipe(paths=[str(corpus(folder))], name="animals")
    run_import(prepare(recipe, workspace, False), context)
    put_model(workspace, "encodes", tiny.bert(folder / "encodes"))
    put_model(workspace, "orders", cross_encoder(folder / "orders", 1))
    put_model(workspace, "colbert", late_interaction(folder))
    wanted = IndexRecipe(dataset="animals", model="encodes", name="one")
    run_build(prepare(wanted, workspace, False), context)
    yield workspace
    workspace.close()


@pytest.fixture(scope="module")
def client(opened: Workspace) -> Iterator[SearchClient]:
    made = SearchClient(opened)
    yield made
    made.close()


def scores_by_hand(workspace: Workspace, name: str, texts: list[str]) -> np.ndarray:
    from workbench.models.load import load_model
    from workbench.models.locate import locate

    scorer: Any = load_model(locate(workspace, name))
    pairs = np.array([[0, at] for at in range(len(texts))])
    scores: np.ndarray = scorer.score([QUERY], texts, pairs)
    return scores


@pytest.mark.parametrize("name", KINDS)
def test_the_first_candidates_are_ordered_anew(
    opened: Workspace, client: SearchClient, name: str
) -> None:
    first = client.search("one", QUERY, 20)
    found = client.search("one", QUERY, 5, reranker=name, candidates=20)
    assert (found.reranker, found.candidates, len(found.hits)) == (name, 20, 5)
    scores = scores_by_hand(opened, name, [hit.text for hit in first.hits])
    places = sorted(range(20), key=lambda at: (-scores[at], first.hits[at].id))[:5]
    np.testing.assert_allclose(
        [hit.score for hit in found.hits], scores[places], atol=2e-2, rtol=2e-2
    )
    assert len({hit.score for hit in found.hits}) > 1
    assert [hit.score for hit in found.hits] == sorted((h.score for h in found.hits), reverse=True)
    for hit in found.hits:
        assert hit.first_rank is not None
        before = first.hits[hit.first_rank - 1]
        assert (hit.id, hit.row, hit.first_score) == (before.id, before.row, before.score)
    assert [hit.first_rank for hit in found.hits] != [1, 2, 3, 4, 5]


def test_every_stage_says_what_it_took(client: SearchClient) -> None:
    took = client.search("one", QUERY, 5, reranker="orders").milliseconds
    assert set(took) == {"encode", "search", "rerank", "total"}
    assert took["total"] == pytest.approx(took["encode"] + took["search"] + took["rerank"])


def test_fewer_documents_than_candidates(opened: Workspace, client: SearchClient) -> None:
    documents = opened.indexes.get("one").documents
    found = client.search("one", QUERY, 50, reranker="orders", candidates=1000)
    assert found.candidates == len(found.hits) == documents
    assert sorted(hit.first_rank or 0 for hit in found.hits) == list(range(1, documents + 1))


def test_models_of_both_stages_are_kept_together(opened: Workspace, client: SearchClient) -> None:
    client.warm(["one"], reranker="orders", wait=True)
    client.search_many(["one", "one"], QUERY, 3, reranker="colbert")
    kept = client._ask(Status())["models"]
    assert set(kept) == {opened.models.get(name).id for name in ("encodes", *KINDS)}


@pytest.mark.parametrize("name", KINDS)
def test_a_document_without_text_is_scored_like_the_others(opened: Workspace, name: str) -> None:
    scores = scores_by_hand(opened, name, ["", "the dog"])
    assert np.isfinite(scores).all()


def test_the_worker_refuses_a_model_of_the_wrong_kind(client: SearchClient) -> None:
    with pytest.raises(ModelUnusable, match="cannot be a second stage"):
        client._ask(Search(["one"], QUERY, 3, "encodes"))


def test_one_that_was_removed_meanwhile_is_not_used_on(
    opened: Workspace, client: SearchClient, tmp_path: Path
) -> None:
    put_model(opened, "short-lived", cross_encoder(tmp_path / "short", 3))
    id = opened.models.get("short-lived").id
    assert client.search("one", QUERY, 3, reranker="short-lived").reranker == "short-lived"
    opened.models.remove("short-lived")
    with pytest.raises(ModelNotFound, match="no model named 'short-lived'"):
        client.search("one", QUERY, 3, reranker="short-lived")
    with pytest.raises(ModelNotFound):
        client._ask(Search(["one"], QUERY, 3, id))


def test_a_broken_reranker_is_a_sentence(
    opened: Workspace, client: SearchClient, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    source = cross_encoder(tmp_path / "broken", 5)
    weights = load_file(source / "model.safetensors")
    weights["classifier.bias"].fill_(math.nan)
    save_file(weights, source / "model.safetensors", metadata={"format": "pt"})
    put_model(opened, "broken", source)
    with pytest.raises(ModelUnusable, match="'broken' gave 40 of 40 documents"):
        client.search("one", QUERY, 3, reranker="broken")


def test_the_command_line_says_both_ranks(
    opened: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    from workbench.cli.main import main

    argv = ["--home", str(opened.home), "search", "--index", "one", "--reranker", "orders"]
    assert main([*argv, "--top-k", "3", "--json", QUERY]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["reranker"] == "orders"
    assert said["milliseconds"] == said["stage_milliseconds"]["total"]
    known = {"id", "score", "text", "fields", "first_rank", "first_score"}
    assert known == set(said["hits"][0])
    assert main([*argv, "--candidates", "2", QUERY]) == 2
