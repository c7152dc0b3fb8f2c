"""The API over a search client made of numbers: shapes, limits and failures, without a model."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.testclient import TestClient

from workbench.errors import ModelUnusable, SearchUnavailable
from workbench.search.encoded import Encoded, Scored
from workbench.serving import batching, shapes
from workbench.serving.api import MOST, ApiKey, create_api, status_of
from workbench.serving.batching import Gone, cut, probability, while_there
from workbench.serving.models import Catalogue, Served
from workbench.serving.server import Proxies

KEY = "0123456789-0123456789"


class FakeSearch:
    """A text's vector is its length in three numbers; a pair's score its document's length."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.warmed: list[str] = []
        self.pairs: list[int] = []
        self.texts: list[list[str]] = []
        #: Until it is set, texts are not encoded.
        self.go = threading.Event()
        self.go.set()

    def embed(self, model: str, texts: Sequence[str]) -> None:
        self.warmed.append(f"embeds {model}")
        if model != "id-e":
            raise ModelUnusable(f"{model} gives no vectors.")

    def warm_served(self, model: str) -> None:
        self.warmed.append(f"measures {model}")
        if model == "id-slow":
            raise SearchUnavailable("The search did not answer.")

    def rerank(self, model: str, query: str, documents: Sequence[str]) -> None:
        self.warmed.append(f"orders {model}")
        if model == "id-broken":
            raise ModelUnusable(f"{model} is broken.")

    def encoded(self, model: str, texts: Sequence[str], role: str) -> Encoded:
        self.texts.append(list(texts))
        assert self.go.wait(60)
        if self.fails:
            raise self.fails
        vectors = np.array([[len(text), 1, 0] for text in texts], np.float32)
        return Encoded.from_dict(Encoded(vectors, [len(text) for text in texts]).to_dict())

    def scored(
        self, model: str, queries: Sequence[str], documents: Sequence[str], pairs: Any
    ) -> Scored:
        assert len(set(documents)) == len(documents), "each text is sent once"
        self.pairs.append(len(pairs))
        scores = np.array([len(documents[at]) for _, at in pairs], np.float32)
        return Scored.from_dict(Scored(scores, [1] * len(pairs)).to_dict())


def served(name: str, kind: str, slow: bool = False) -> Served:
    return Served(name, f"id-{name}", kind, 3, normalize=True, created=1, slow=slow)


CATALOGUE = Catalogue(
    (
        *(served("e", "embedding"), served("r", "reranker"), served("new", "")),
        served("llm", "reranker", slow=True),
    )
)


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
        (batching.Full("Too many.", "Later."), 429, "full"),
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


def test_a_body_is_looked_through_before_it_is_parsed(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "workbench.serving.shapes.EmbeddingsAsked.texts", lambda _: pytest.fail("was read")
    )
    headers = {"content-type": "application/json"}
    many = b'{"model":"e","input":[' + b"1," * 100_000 + b"1]}"
    for body, words in ((many, "50,000 values"), (b"[" * 100_000, "values"), (b"[" * 99, "deeper")):
        answer = client.post("/embeddings", content=body, headers=headers)
        assert answer.status_code == 413 and words in answer.json()["error"]["message"]
        assert answer.json()["error"]["code"] == "too-large"
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert client.post("/embeddings", content=b"--x--", headers=form).status_code == 415


def test_as_many_texts_as_allowed_are_taken(client: TestClient) -> None:
    texts = [{"text": "a, [b] {c}", "title": "x", "lang": "en"} for _ in range(shapes.MOST_INPUTS)]
    assert client.post("/embeddings", json={"model": "e", "input": texts}).status_code == 200


async def test_sixty_wrong_keys_at_once_are_sixty() -> None:
    api = create_api(FakeSearch(), CATALOGUE, ApiKey.of(KEY))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app=api, client=("192.0.2.77", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as asking:
        keys = [{"authorization": f"Bearer guess {number}"} for number in range(60)]
        answers = await asyncio.gather(*(asking.get("/models", headers=one) for one in keys))
    assert Counter(one.status_code for one in answers) == {401: MOST, 429: 60 - MOST}


async def test_behind_a_proxy_each_program_has_an_address_of_its_own() -> None:
    proxies = Proxies.read(["192.0.2.0/24"])
    api = create_api(FakeSearch(), CATALOGUE, ApiKey.of(KEY), proxies=proxies)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app=api, client=("192.0.2.78", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as asking:

        async def status(address: str, key: str) -> int:
            headers = {"authorization": f"Bearer {key}", "x-forwarded-for": address}
            return (await asking.get("/models", headers=headers)).status_code

        guesses = [await status("203.0.113.1", f"guess {number}") for number in range(MOST + 1)]
        assert guesses == [401] * MOST + [429]
        assert await status("203.0.113.2", KEY) == 200


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


NULLS = {"encoding_format", "dimensions", "input_type", "task", "user", "truncate"}


@pytest.mark.parametrize("names", [{one} for one in sorted(NULLS)] + [NULLS])
def test_null_means_the_default_of_an_embedding(client: TestClient, names: set[str]) -> None:
    """LiteLLM sends it for what its caller left out."""
    asked = {"model": "e", "input": ["a", "bcd"]}
    usual = client.post("/embeddings", json=asked)
    answer = client.post("/embeddings", json=asked | dict.fromkeys(names))
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == usual.json()["data"]


RERANK_NULLS = {"top_n", "return_documents", "raw_scores", "max_chunks_per_doc", "rank_fields"}


@pytest.mark.parametrize("names", [{one} for one in sorted(RERANK_NULLS)] + [RERANK_NULLS])
def test_null_means_the_default_of_a_reranking(client: TestClient, names: set[str]) -> None:
    asked = {"model": "r", "query": "q", "documents": ["a", {"text": "bcd", "title": None}]}
    usual = client.post("/rerank", json=asked)
    answer = client.post("/rerank", json=asked | dict.fromkeys(names))
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"] == usual.json()["results"]


def test_every_field_of_the_api_that_has_a_default_may_be_null() -> None:
    """A new one, too."""
    for shape, needed in (
        (shapes.EmbeddingsAsked, {"model": "e", "input": "x"}),
        (shapes.RerankAsked, {"model": "r", "query": "q", "documents": ["a"]}),
    ):
        usual = shape.model_validate(needed)
        left_out = {name for name, one in shape.model_fields.items() if not one.is_required()}
        assert shape.model_validate(needed | dict.fromkeys(left_out)) == usual
        assert set(needed) == set(shape.model_fields) - left_out


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/embeddings", {"model": "e", "input": None}),
        ("/embeddings", {"model": None, "input": "x"}),
        ("/embeddings", {"model": "e", "input": ["x", None]}),
        ("/embeddings", {"model": "e", "input": {"text": None}}),
        ("/rerank", {"model": "r", "query": None, "documents": ["a"]}),
        ("/rerank", {"model": "r", "query": "q", "documents": [None]}),
        ("/rerank", {"model": "r", "query": "q", "documents": None}),
    ],
)
def test_null_is_no_text(client: TestClient, path: str, body: dict[str, Any]) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 400
    assert "cannot be read" in answer.json()["error"]["message"]


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


def test_half_a_character_is_refused_in_a_sentence(client: TestClient) -> None:
    """JSON can write what is no text; a tokenizer fails at it, and with it the whole batch."""
    for path, body in (
        ("/embeddings", '{"model": "e", "input": ["fine", "\\ud800"]}'),
        ("/rerank", '{"model": "r", "query": "q", "documents": ["\\ud800"]}'),
        ("/rerank", '{"model": "r", "query": "\\udfff", "documents": ["a"]}'),
    ):
        headers = {"content-type": "application/json"}
        answer = client.post(path, content=body, headers=headers)
        assert answer.status_code == 400, answer.text
        assert "half of a character" in answer.json()["error"]["message"]
    odd = client.post("/embeddings", content='{"model": "\\ud800", "input": "x"}', headers=headers)
    assert odd.status_code == 404
    assert odd.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b'{"model": "e"}', "input"),
        (b'{"model": "e", "input": ["a", {"text": 1}]}', "input"),
        (b'{"model": "e", "input": "a", "dimensions": 0}', "dimensions"),
    ],
)
def test_a_refusal_names_the_field_and_nothing_else(
    client: TestClient, body: bytes, param: str | None
) -> None:
    headers = {"content-type": "application/json"}
    error = client.post("/embeddings", content=body, headers=headers).json()["error"]
    assert error["param"] == param


def test_coheres_newer_path_is_the_same(client: TestClient) -> None:
    body = {"model": "r", "query": "q", "documents": ["a", "bcd"], "top_n": 1}
    answer = client.post("/v2/rerank", json=body)
    assert answer.status_code == 200
    assert answer.json()["results"] == client.post("/rerank", json=body).json()["results"]


def test_a_language_model_gets_few_pairs_at_once(client: TestClient, search: FakeSearch) -> None:
    documents = ["x" * at for at in range(1, 101)]
    for model, sizes in (("r", [64, 36]), ("llm", [8] * 12 + [4])):
        search.pairs.clear()
        body = {"model": model, "query": "q", "documents": documents, "raw_scores": True}
        results = client.post("/rerank", json=body).json()["results"]
        assert [one["index"] for one in results] == list(range(99, -1, -1))
        assert search.pairs == sizes


def test_every_model_is_warmed_though_one_fails() -> None:
    search = FakeSearch()
    broken = (served("broken", "reranker"), served("fetched", ""), served("e", "embedding"))
    failed = Catalogue(broken).warm(search)  # type: ignore[arg-type]
    assert list(failed) == ["broken"]
    assert search.warmed == [
        *("orders id-broken", "embeds id-fetched", "orders id-fetched"),
        *("embeds id-e", "measures id-e"),
    ]


def test_a_model_is_served_though_its_engines_cannot_be_measured(
    caplog: pytest.LogCaptureFixture,
) -> None:
    search = FakeSearch()
    slow = Served("e", "id-slow", "embedding", 3, normalize=True, created=1)
    search.embed = lambda *_: None  # type: ignore[method-assign]
    assert Catalogue((slow,)).warm(search) == {}  # type: ignore[arg-type]
    assert search.warmed == ["measures id-slow"]
    assert "What computes 'e' the fastest could not be measured" in caplog.text


async def test_who_closes_the_connection_is_not_worked_for() -> None:
    """As a server tells it: the body, then the end of the connection."""
    began, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        began.set()
        try:
            await asyncio.sleep(600)
        finally:
            ended.set()

    async def receive() -> dict[str, str]:
        await began.wait()
        return {"type": "http.disconnect"}

    request = Request({"type": "http"}, receive)  # type: ignore[arg-type]
    with pytest.raises(Gone):
        await while_there(request, work())
    await ended.wait()
    assert status_of(Gone("")) == 499


async def test_a_request_that_waits_is_dropped_when_its_client_goes(search: FakeSearch) -> None:
    api = create_api(search, CATALOGUE, ApiKey.of(KEY))  # type: ignore[arg-type]
    search.go.clear()
    leave, stay = asyncio.Event(), asyncio.Event()
    working = []
    for text in ("first", "beside it"):
        working.append(asyncio.create_task(_asked(api, text, stay)))
        while [text] not in search.texts:
            await asyncio.sleep(0.01)
    second = asyncio.create_task(_asked(api, "second", leave))
    third = asyncio.create_task(_asked(api, "third", stay))
    await asyncio.sleep(0.05)
    leave.set()
    assert await second == 499
    search.go.set()
    assert await asyncio.gather(*working, third) == [200, 200, 200]
    assert search.texts == [["first"], ["beside it"], ["third"]]


async def _asked(api: Any, text: str, gone: asyncio.Event) -> int:
    """The status of a request whose client goes away when told."""
    body = orjson.dumps({"model": "e", "input": text})
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    statuses = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/embeddings",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    await api(scope, receive, send)
    return int(statuses[0])


async def test_who_stays_gets_the_answer_or_the_failure() -> None:
    async def receive() -> dict[str, str]:
        await asyncio.sleep(600)
        return {"type": "http.disconnect"}

    async def work(answer: int) -> int:
        await asyncio.sleep(0)
        if not answer:
            raise ValueError("no")
        return answer

    request = Request({"type": "http"}, receive)  # type: ignore[arg-type]
    assert await while_there(request, work(3)) == 3
    with pytest.raises(ValueError, match="no"):
        await while_there(request, work(0))
