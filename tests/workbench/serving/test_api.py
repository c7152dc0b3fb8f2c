"""The API over a search client made of numbers: shapes, limits and failures, without a model."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from workbench.errors import ModelUnusable, SearchUnavailable
from workbench.search.asked import Encoded, Scored
from workbench.serving import queue
from workbench.serving.api import create_api
from workbench.serving.keys import ApiKey
from workbench.serving.models import Catalogue, Served
from workbench.serving.work import cut, probability

KEY = "0123456789-0123456789"


class FakeSearch:
    """A text's vector is its length in three numbers; a pair's score its document's length."""

    def __init__(self) -> None:
        self.fails: Exception | None = None

    def encoded(self, model: str, texts: Sequence[str], role: str) -> Encoded:
        if self.fails:
            raise self.fails
        vectors = np.array([[len(text), 1, 0] for text in texts], np.float32)
        return Encoded.from_dict(Encoded(vectors, [len(text) for text in texts]).to_dict())

    def scored(
        self, model: str, queries: Sequence[str], documents: Sequence[str], pairs: Any
    ) -> Scored:
        assert len(set(documents)) == len(documents), "each text is sent once"
        scores = np.array([len(documents[at]) for _, at in pairs], np.float32)
        return Scored.from_dict(Scored(scores, [1] * len(pairs)).to_dict())


def served(name: str, kind: str) -> Served:
    return Served(name, f"id-{name}", kind, 3, normalize=True, created=1)


CATALOGUE = Catalogue((served("e", "embedding"), served("r", "reranker"), served("new", "")))


@pytest.fixture
def search() -> FakeSearch:
    return FakeSearch()


@pytest.fixture
def client(search: FakeSearch) -> Iterator[TestClient]:
    api = create_api(search, CATALOGUE, ApiKey.of(KEY))  # type: ignore[arg-type]
    headers = {"authorization": f"Bearer {KEY}"}
    with TestClient(api, headers=headers, raise_server_exceptions=False) as opened:
        yield opened


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (SearchUnavailable("It ended.", "Again."), 503, "search-unavailable"),
        (ModelUnusable("Its weights are gone."), 400, "model-unusable"),
        (queue.Full("Too many.", "Later."), 429, "full"),
        (RuntimeError("a secret detail"), 500, None),
    ],
)
def test_failures_of_the_engine_have_a_status_and_a_sentence(
    client: TestClient, search: FakeSearch, error: Exception, status: int, code: str | None
) -> None:
    search.fails = error
    answer = client.post("/embeddings", json={"model": "e", "input": "x"})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert "secret" not in answer.text
    assert ("retry-after" in answer.headers) == (status in (429, 503))


def test_a_body_that_grows_beyond_all_bounds_is_refused_on_the_way(client: TestClient) -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(40):
            sent += 1
            yield b"x" * 2**20

    answer = client.post("/embeddings", content=pieces())
    assert answer.status_code == 413
    assert "16 MB" in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b'{"model": 1, "input": "x"}', b"\xff"])
def test_what_is_not_json_of_that_shape_is_a_sentence(client: TestClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/embeddings", content=body, headers=headers)
    assert answer.status_code == 400
    message = answer.json()["error"]["message"]
    assert "cannot be read" in message or "error parsing the body" in message


def test_a_model_that_nobody_knows_yet_may_be_asked_for_both(client: TestClient) -> None:
    answer = client.post("/embeddings", json={"model": "new", "input": ["a", "bcd"]})
    assert [one["embedding"] for one in answer.json()["data"]] == [[1, 1, 0], [3, 1, 0]]
    asked = {"model": "new", "query": "q", "documents": ["a", "bcd", "a"], "raw_scores": True}
    results = client.post("/rerank", json=asked).json()["results"]
    assert [(one["index"], one["relevance_score"]) for one in results] == [(1, 3), (0, 1), (2, 1)]


def test_fields_that_nobody_knows_are_let_through(client: TestClient) -> None:
    body = {"model": "e", "input": "x", "user": "anna", "truncate": "END", "late_chunking": True}
    assert client.post("/embeddings", json=body).status_code == 200


@given(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4))
def test_probabilities_keep_the_order(one: float, other: float) -> None:
    assert 0 <= probability(one) <= 1
    if one < other:
        assert probability(one) <= probability(other)
    assert probability(one) + probability(-one) == pytest.approx(1)


def test_cut_vectors_have_length_1_where_whole_ones_have() -> None:
    vector = np.array([3, 4, 12], np.float32) / 13
    assert np.linalg.norm(cut(vector, 2, True)) == pytest.approx(1)
    assert cut(vector, 2, False).tolist() == vector[:2].tolist()
    assert cut(vector, None, True) is vector
    assert cut(np.zeros(3, np.float32), 2, True).tolist() == [0, 0]
