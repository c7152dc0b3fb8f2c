"""The app as a process of its own, and programs that use it: OpenAI's client, HTTP, agents."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import CallToolResult

from storage.records import JobStatus
from tests.served import QUERY_PROMPT, fill
from tests.storage import make
from tests.ui.test_app import App, loaded_libraries, started
from tests.workbench.models import tiny
from workbench.search.client import SearchClient
from workbench.workspace import Workspace

# Real models in a search process, and the whole app in another, once for all tests here.
pytestmark = pytest.mark.slow

KEY = "a-key-for-tests-0123456789"
QUERY = "the lazy dog"
TEXTS = ["the cat sat on the mat", "quick brown fox", "dog", "the lazy dog jumps over"]
MODELS = ("encodes", "prompted", "orders", "colbert")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = fill(tmp_path_factory.mktemp("programs"))
    _compared(workspace)
    yield workspace
    workspace.close()


@pytest.fixture(scope="module")
def app(filled: Workspace) -> Iterator[App]:
    options = ("--serve", *MODELS, "--mcp")
    with started(filled.home.parent, *options, WORKBENCH_API_KEY=KEY) as made:
        yield made
        assert made.stop(signal.SIGINT) == 0
        # What the app and its processes wrote has the key nowhere.
        said = [made.text(), *(path.read_text() for path in (filled.home / "logs").iterdir())]
        assert KEY not in "".join(said)
        assert "Traceback" not in "".join(said)


@pytest.fixture(scope="module")
def url(app: App) -> str:
    return app.url()


@pytest.fixture(scope="module")
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}v1", api_key=KEY, max_retries=0, timeout=300)


@pytest.fixture(scope="module")
def web(url: str) -> Iterator[httpx.Client]:
    headers = {"authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=f"{url}v1", headers=headers, timeout=300) as opened:
        yield opened


@pytest.fixture(scope="module")
def search(filled: Workspace) -> Iterator[SearchClient]:
    made = SearchClient(filled)
    yield made
    made.close()


def vectors(answer: Any) -> np.ndarray:
    return np.array([one.embedding for one in answer.data])


def test_openais_client_gets_what_the_search_process_gives(
    client: openai.OpenAI, search: SearchClient, app: App
) -> None:
    expected = search.embed("encodes", TEXTS)
    assert expected.shape == (4, 32)
    # Its default is base64, and it turns that into numbers.
    found = client.embeddings.create(model="encodes", input=TEXTS)
    np.testing.assert_allclose(vectors(found), expected, atol=1e-5)
    plain = client.embeddings.create(model="encodes", input=TEXTS, encoding_format="float")
    np.testing.assert_allclose(vectors(plain), expected, atol=1e-5)
    assert [one.index for one in plain.data] == [0, 1, 2, 3]
    # [CLS] and [SEP] count.
    assert plain.usage.prompt_tokens == sum(len(text.split()) + 2 for text in TEXTS)
    one = client.embeddings.create(model="encodes", input=TEXTS[0])
    np.testing.assert_allclose(vectors(one), expected[:1], atol=1e-5)
    assert loaded_libraries(app.process.pid) & {"libtorch", "libtorch_cpu", "faiss"} == set()


def test_many_requests_at_once_are_what_one_by_one_gives(
    client: openai.OpenAI, search: SearchClient
) -> None:
    """120 requests from 24 threads, of 1 to 9 texts, queries and documents among one another."""
    rng = np.random.default_rng(0)

    def texts() -> list[str]:
        lengths = rng.integers(1, 40, size=rng.integers(1, 10))
        return [" ".join(rng.choice(tiny.WORDS, size=length)) for length in lengths]

    asked = [("prompted:query" if at % 3 else "prompted", texts()) for at in range(120)]
    with ThreadPoolExecutor(24) as pool:
        answers = list(
            pool.map(lambda one: client.embeddings.create(model=one[0], input=one[1]), asked)
        )
    for (model, given), answer in zip(asked, answers, strict=True):
        role: Any = "query" if model.endswith(":query") else "document"
        alone = np.vstack([search.embed("prompted", [text], role) for text in given])
        # In half precision a text's neighbours show in its last digits; another text is .1 away.
        np.testing.assert_allclose(vectors(answer), alone, atol=5e-3)


def test_prompts_are_those_of_what_the_texts_are(web: httpx.Client, search: SearchClient) -> None:
    expected = search.embed("encodes", [QUERY_PROMPT + QUERY])[0]
    for more in (
        {"model": "prompted", "input_type": "query"},
        {"model": "prompted", "input_type": "search_query"},
        {"model": "prompted", "task": "retrieval.query"},
        {"model": "prompted:query"},
    ):
        answer = web.post("/embeddings", json={"input": QUERY, **more})
        found = answer.json()["data"][0]["embedding"]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    document = web.post("/embeddings", json={"model": "prompted", "input": {"text": QUERY}})
    np.testing.assert_allclose(
        document.json()["data"][0]["embedding"], search.embed("encodes", [QUERY])[0], atol=1e-5
    )


def test_vectors_can_be_cut_and_sent_as_base64(web: httpx.Client, search: SearchClient) -> None:
    asked = {"model": "encodes", "input": QUERY, "dimensions": 8, "encoding_format": "base64"}
    said = web.post("/embeddings", json=asked).json()["data"][0]["embedding"]
    found = np.frombuffer(base64.b64decode(said), dtype="<f4")
    whole = search.embed("encodes", [QUERY])[0][:8]
    np.testing.assert_allclose(found, whole / np.linalg.norm(whole), atol=1e-5)


@pytest.mark.parametrize("model", ["orders", "colbert"])
def test_reranking_in_jinas_and_coheres_shape(
    web: httpx.Client, search: SearchClient, model: str
) -> None:
    scores = search.rerank(model, QUERY, TEXTS)
    best = np.argsort(-scores, kind="stable").tolist()
    asked: dict[str, Any] = {"model": model, "query": QUERY, "documents": TEXTS}
    jina = web.post("/rerank", json={**asked, "top_n": 2, "return_documents": True}).json()
    assert [one["index"] for one in jina["results"]] == best[:2]
    assert [one["document"]["text"] for one in jina["results"]] == [TEXTS[at] for at in best[:2]]
    assert jina["usage"]["total_tokens"] > len(TEXTS)
    wrapped = [{"text": text} for text in TEXTS]
    cohere = web.post("/rerank", json={**asked, "documents": wrapped, "raw_scores": True}).json()
    assert [one["index"] for one in cohere["results"]] == best
    found = [one["relevance_score"] for one in cohere["results"]]
    np.testing.assert_allclose(found, scores[best], atol=1e-4)
    assert "document" not in cohere["results"][0]
    shown = [one["relevance_score"] for one in jina["results"]]
    assert shown == sorted(shown, reverse=True)
    if model == "orders":
        np.testing.assert_allclose(shown, 1 / (1 + np.exp(-scores[best[:2]].astype(float))))


def test_reranking_many_at_once(web: httpx.Client, search: SearchClient) -> None:
    queries = [f"{word} dog" for word in tiny.WORDS]
    with ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(
                lambda query: web.post(
                    "/rerank",
                    json={
                        "model": "orders",
                        "query": query,
                        "documents": TEXTS,
                        "raw_scores": True,
                    },
                ).json(),
                queries,
            )
        )
    for query, answer in zip(queries, answers, strict=True):
        scores = search.rerank("orders", query, TEXTS)
        found = {one["index"]: one["relevance_score"] for one in answer["results"]}
        np.testing.assert_allclose([found[at] for at in range(4)], scores, atol=1e-4)


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [one.id for one in client.models.list().data] == list(MODELS)
    assert client.models.retrieve("orders").kind == "reranker"  # type: ignore[attr-defined]
    with pytest.raises(openai.NotFoundError, match="not served here"):
        client.models.retrieve("all-MiniLM-L6-v2")


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("/embeddings", {"model": "encods", "input": "x"}, 404, "Did you mean 'encodes'"),
        ("/embeddings", {"model": "orders", "input": "x"}, 400, "gives no vectors"),
        ("/embeddings", {"model": "encodes", "input": [1, 2]}, 400, "holds tokens"),
        ("/embeddings", {"model": "encodes", "input": [[1], [2]]}, 400, "holds tokens"),
        ("/embeddings", {"model": "encodes", "input": []}, 400, "is empty"),
        ("/embeddings", {"model": "encodes", "input": ["a", " "]}, 400, "'input[1]' is an empty"),
        ("/embeddings", {"model": "encodes"}, 400, "'input': It is missing"),
        ("/embeddings", {"model": "encodes", "input": "x", "dimensions": 33}, 400, "fewer than 33"),
        ("/embeddings", {"model": "encodes", "input": ["a"] * 2049}, 413, "more than 2,048"),
        ("/embeddings", {"model": "encodes", "input": "a" * 200_001}, 413, "more than 200,000"),
        (
            "/embeddings",
            {"model": "encodes:query", "input": "a", "input_type": "document"},
            400,
            "both queries and documents",
        ),
        ("/rerank", {"model": "encodes", "query": "a", "documents": ["b"]}, 400, "cannot rerank"),
        ("/rerank", {"model": "orders", "query": "a", "documents": []}, 400, "is empty"),
        ("/rerank", {"model": "orders", "query": "", "documents": ["b"]}, 400, "empty text"),
        ("/rerank", {"model": "orders", "query": "a", "documents": ["b"] * 1001}, 413, "1,000"),
    ],
)
def test_refusals_have_openais_shape(
    web: httpx.Client, path: str, body: dict[str, Any], status: int, sentence: str
) -> None:
    answer = web.post(path, json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert sentence in error["message"]
    assert set(error) == {"message", "type", "param", "code"}


def test_a_request_beyond_all_bounds_is_refused(web: httpx.Client) -> None:
    answer = web.post("/embeddings", content=b"x" * (16 * 2**20 + 1))
    assert answer.status_code == 413


def test_without_the_key_nothing_is_told(url: str) -> None:
    for headers in ({}, {"authorization": "Bearer guessed"}, {"authorization": f"Basic {KEY}"}):
        for path in ("v1/models", "v1/embeddings", "v1/nothing"):
            answer = httpx.get(url + path, headers=headers)
            assert answer.status_code == 401
            assert answer.json()["error"]["code"] == "invalid_api_key"
            assert answer.headers["www-authenticate"] == "Bearer"


def test_pages_of_other_sites_are_refused_with_the_key_too(web: httpx.Client) -> None:
    body = {"model": "encodes", "input": "x"}
    foreign = web.post("/embeddings", json=body, headers={"origin": "https://evil.example"})
    assert foreign.status_code == 403
    assert "another site" in foreign.json()["error"]["message"]
    assert web.get("/models", headers={"host": "evil.example"}).status_code == 421


def test_the_page_about_the_routes_is_of_these_routes_and_from_here(url: str) -> None:
    about = httpx.get(f"{url}v1/openapi.json").json()
    assert set(about["paths"]) == {"/embeddings", "/rerank", "/models", "/models/{name}"}
    assert "422" not in about["paths"]["/embeddings"]["post"]["responses"]
    page = httpx.get(f"{url}v1/docs").text
    assert "/v1/openapi.json" in page
    assert "https://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"/v1/docs/files/{name}" in page
        assert len(httpx.get(f"{url}v1/docs/files/{name}").content) > 100_000
    assert httpx.get(f"{url}openapi.json").status_code == 404


def test_agents_find_these_tools_and_no_other(url: str) -> None:
    async def ask(session: ClientSession) -> dict[str, Any]:
        return {one.name: one for one in (await session.list_tools()).tools}

    tools = agent(url, ask)
    assert list(tools) == [
        *("list_datasets", "list_models", "list_indexes", "list_jobs"),
        *("search", "answer", "compare"),
    ]
    schema = tools["search"].inputSchema
    assert schema["required"] == ["index", "query"]
    assert schema["properties"]["top_k"]["type"] == "integer"
    for tool in tools.values():
        assert len(tool.description) > 60
        assert all(one["description"] for one in tool.inputSchema["properties"].values())


def test_agents_get_answers(url: str, filled: Workspace, search: SearchClient) -> None:
    filtered = {"index": "dated", "query": QUERY, "where": "year >= 2022"}

    async def ask(session: ClientSession) -> list[Any]:
        return [
            read(await session.call_tool("list_datasets", {})),
            read(await session.call_tool("list_models", {})),
            read(await session.call_tool("list_jobs", {"limit": 1})),
            read(await session.call_tool("search", {"index": "one", "query": QUERY, "top_k": 3})),
            read(await session.call_tool("compare", {"dataset": "animals"})),
            read(await session.call_tool("list_indexes", {})),
            read(await session.call_tool("search", filtered)),
        ]

    datasets, models, jobs, found, compared, indexes, dated = agent(url, ask)
    assert {one["name"]: one["dataset"] for one in indexes} == {"one": "animals", "dated": "notes"}
    assert {one["name"] for one in datasets} == {"animals", "notes"}
    assert {one["fields"]["year"] for one in dated["hits"]} == {2022, 2023}
    assert {"encodes", "orders"} < {one["name"] for one in models}
    assert {one["name"]: one["indexes"] for one in models}["encodes"] == ["dated", "one"]
    assert [one["task"] for one in jobs] == ["evaluate"]
    hits = search.search("one", QUERY, 3).hits
    assert [one["id"] for one in found["hits"]] == [hit.id for hit in hits]
    assert compared["rows"][0]["map@100"] == 0.5
    assert "encodes" in compared["table"]


def test_agents_are_told_what_is_wrong(url: str) -> None:
    async def ask(session: ClientSession) -> list[CallToolResult]:
        return [
            await session.call_tool("search", {"index": "two", "query": QUERY}),
            await session.call_tool("list_jobs", {"limit": 0}),
            await session.call_tool(
                "search", {"index": "one", "query": QUERY, "where": "year > 1"}
            ),
            await session.call_tool("compare", {"dataset": "animals", "split": "dev"}),
            await session.call_tool(
                "search", {"index": "one", "query": QUERY, "reranker": "nobody/x"}
            ),
        ]

    answers = agent(url, ask)
    assert all(one.isError for one in answers)
    said = [one.content[0].text for one in answers]  # type: ignore[union-attr]
    assert "There is no index named 'two'" in said[0]
    assert "limit must be between" in said[1]
    assert "year" in said[2]
    assert "Nothing was compared on the dev queries" in said[3]
    assert "There is no model named 'nobody/x'" in said[4]


def test_a_login_stands_before_agents_and_the_key_opens_it(
    filled: Workspace, tmp_path: Path
) -> None:
    options = ("--home", str(filled.home), "--auth", "--mcp", "--serve", "encodes")
    environment = {"WORKBENCH_API_KEY": KEY, "WORKBENCH_AUTH": "anna:correct horse"}
    app = App(tmp_path / "output.txt", *options, **environment)
    try:
        url = app.url()
        tools = f"{url}gradio_api/mcp/"
        assert httpx.post(tools, json={}).status_code == 401
        assert httpx.post(tools, headers={"authorization": "Bearer no"}).status_code == 401
        bearer = {"authorization": f"Bearer {KEY}"}
        assert httpx.get(f"{url}config", headers=bearer).status_code == 401
        assert httpx.get(f"{url}v1/docs", headers=bearer).status_code == 401
        assert httpx.get(f"{url}v1/models").json()["error"]["code"] == "invalid_api_key"
        assert httpx.get(f"{url}v1/models", headers=bearer).status_code == 200

        async def ask(session: ClientSession) -> int:
            return len((await session.list_tools()).tools)

        assert agent(url, ask, bearer) == 7
    finally:
        os.kill(app.process.pid, signal.SIGTERM)
        app.process.wait(300)


def agent(url: str, ask: Any, headers: dict[str, str] | None = None) -> Any:
    """What ``ask`` answers, given an open session of an MCP client."""

    async def run() -> Any:
        address = f"{url}gradio_api/mcp/"
        async with (
            streamablehttp_client(address, headers=headers) as (reading, writing, _),
            ClientSession(reading, writing) as session,
        ):
            await session.initialize()
            return await ask(session)

    return asyncio.run(run())


def read(answer: CallToolResult) -> Any:
    assert not answer.isError, answer
    (content,) = answer.content
    return json.loads(content.text)  # type: ignore[union-attr]


def _compared(workspace: Workspace) -> None:
    """An evaluate job on record as if it had run."""
    rows = [{"model": "encodes", "queries": 60, "map@100": 0.5, "ndcg@10": 0.6}]
    result = {"dataset": "animals", "split": "test", "rows": rows, "comparisons": []}
    recipe = {"dataset": "animals", "split": "test", "models": ["encodes"]}
    done = {"status": JobStatus.SUCCEEDED, "result": result, "recipe": recipe}
    workspace.store.jobs.insert(make.job("eval000001", name="evaluate", task="evaluate", **done))
    about = {"job_id": "eval000001", "dataset_id": workspace.datasets.get("animals").id}
    workspace.store.evaluations.insert(make.evaluation("measured", **about))
