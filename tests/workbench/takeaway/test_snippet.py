"""The lines that use a model give the scores that the workbench gives."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.training.fakes import (
    FakeReader,
    FakeWorkspace,
    save_decoder,
    save_late,
    save_tiny_model,
)
from workbench.models.contract import Contract, as_kind
from workbench.models.load import load_model
from workbench.models.locate import locate_folder
from workbench.takeaway.snippet import snippet

QUESTIONS = ["which old cat"]
TITLE, TEXTS = "here", ["is old cat number 3", "here is red dog today"]


def use(text: str) -> Any:
    """Run a snippet with our texts in the place of its examples."""
    for example, ours in [
        ('"a question"', repr(QUESTIONS[0])),
        ('"a title"', repr(TITLE)),
        ('"a text"', repr(TEXTS[0])),
        ('"another text"', repr(TEXTS[1])),
    ]:
        assert example in text
        text = text.replace(example, ours)
    found: dict[str, Any] = {}
    exec(compile(text, "snippet", "exec"), found)
    return np.asarray(found["scores"], dtype=np.float32).ravel()


def load(folder: Path, contract: Contract, tmp_path: Path) -> Any:
    workspace = FakeWorkspace(tmp_path, FakeReader({"train": []}))
    return load_model(
        locate_folder(workspace, folder), device="cpu", precision="fp32", contract=contract
    )


def documents(contract: Contract) -> list[str]:
    return [contract.join(TITLE, TEXTS[0]), TEXTS[1]]


MANNER: dict[str, Any] = {
    "query_prompt": "query : ",
    "document_prompt": "passage : ",
    "title_separator": " : ",
    "query_max_len": 5,
    "passage_max_len": 7,
}


@pytest.mark.parametrize("normalize", [True, False])
def test_an_embedding_model(tmp_path: Path, normalize: bool) -> None:
    folder = save_tiny_model(tmp_path / "model", pooling="cls")
    contract = Contract(pooling="cls", normalize=normalize, **MANNER)
    model = load(folder, contract, tmp_path)
    expected = model.encode(QUESTIONS, "query") @ model.encode(documents(contract), "document").T
    assert np.allclose(use(snippet(contract, str(folder))), expected.ravel(), atol=1e-5)


def test_a_bare_decoder_has_its_pooling_spelled_out(tmp_path: Path) -> None:
    folder = save_decoder(tmp_path / "model", "qwen2")
    contract = Contract(pooling="lasttoken", causal=True, **MANNER)
    model = load(folder, contract, tmp_path)
    expected = model.encode(QUESTIONS, "query") @ model.encode(documents(contract), "document").T
    found = use(snippet(contract, str(folder), plain=True))
    assert np.allclose(found, expected.ravel(), atol=1e-5)


def test_late_interaction(tmp_path: Path) -> None:
    folder = save_late(tmp_path / "model", layout="stanford")
    contract = as_kind(Contract(**MANNER), "late-interaction").model_copy(update={"dimensions": 16})
    model = load(folder, contract, tmp_path)
    expected = model.score(QUESTIONS, documents(contract), np.array([(0, 0), (0, 1)]))
    assert np.allclose(use(snippet(contract, str(folder))), expected, atol=1e-4)


def test_a_reranker(tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    plain = save_tiny_model(tmp_path / "model").with_name("model-plain")
    saved = tmp_path / "reranker"
    CrossEncoder(str(plain), num_labels=1, device="cpu").save_pretrained(str(saved))
    contract = as_kind(Contract(**{**MANNER, "query_max_len": 8}), "reranker", llm=False)
    model = load(saved, contract, tmp_path)
    expected = model.score(QUESTIONS, documents(contract), np.array([(0, 0), (0, 1)]))
    assert np.allclose(use(snippet(contract, str(saved))), expected, atol=1e-5)
