"""LangChain's standard tests, with tiny real models in the search process."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import (
    EmbeddingsIntegrationTests,
    RetrieversIntegrationTests,
)
from langchain_tests.unit_tests import EmbeddingsUnitTests

from tests.served import QUERY_PROMPT, fill
from workbench.errors import BadInput, IndexNotFound, ModelNotFound, ModelUnusable
from workbench.langchain import WorkbenchEmbeddings, WorkbenchReranker, WorkbenchRetriever
from workbench.langchain.retriever import _document, close, connect
from workbench.search.protocol import Hit

# Importing sentence-transformers takes 6 to 11 seconds, here and once more in the search process.
pytestmark = pytest.mark.slow

QUERY = "the lazy dog"
TEXTS = ["the cat sat on the mat", "quick brown fox", "dog", "the lazy dog jumps over"]


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What the environment names, as it does for who uses these classes."""
    workspace = fill(tmp_path_factory.mktemp("langchain"))
    patch = pytest.MonkeyPatch()
    patch.setenv("WORKBENCH_HOME", str(workspace.home))
    yield str(workspace.home)
    close()
    patch.undo()
    workspace.close()


class TestEmbeddingsUnit(EmbeddingsUnitTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return WorkbenchEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "encodes"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        # The environment names the home, which is looked up when it is used.
        return {"WORKBENCH_HOME": "/no/such/home"}, {"model": "encodes"}, {"model": "encodes"}


class TestEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[Embeddings]:
        return WorkbenchEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {"model": "encodes"}


class TestRetriever(RetrieversIntegrationTests):
    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return WorkbenchRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"index": "one"}

    @property
    def retriever_query_example(self) -> str:
        return QUERY


class TestRetrieverWithReranker(TestRetriever):
    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"index": "one", "reranker": "orders", "candidates": 10}


def test_queries_and_documents_are_encoded_as_the_contract_says() -> None:
    plain, prompted = WorkbenchEmbeddings("encodes"), WorkbenchEmbeddings("prompted")
    asked = prompted.embed_query(QUERY)
    np.testing.assert_allclose(asked, plain.embed_query(QUERY_PROMPT + QUERY), atol=1e-5)
    assert not np.allclose(asked, plain.embed_query(QUERY), atol=1e-3)
    expected = plain.embed_documents(TEXTS)
    np.testing.assert_allclose(prompted.embed_documents(TEXTS), expected, atol=1e-5)
    assert WorkbenchEmbeddings("encodes").embed_documents([]) == []


def test_more_texts_than_go_at_once_come_back_in_order() -> None:
    words = [f"{TEXTS[at % 4]} {'cat ' * (at % 7)}" for at in range(300)]
    model = WorkbenchEmbeddings("encodes")
    found = model.embed_documents(words)
    assert len(found) == 300
    for at in (0, 255, 256, 299):
        np.testing.assert_allclose(found[at], model.embed_documents([words[at]])[0], atol=1e-5)


def test_a_retriever_finds_what_the_search_finds() -> None:
    search = connect()
    hits = search.search("one", QUERY, 5).hits
    found = WorkbenchRetriever(index="one", k=5).invoke(QUERY)
    assert [(one.id, one.page_content) for one in found] == [(hit.id, hit.text) for hit in hits]
    assert [one.metadata["score"] for one in found] == [hit.score for hit in hits]
    assert [one.metadata["rank"] for one in found] == [1, 2, 3, 4, 5]
    again = WorkbenchRetriever(index="one", k=3, reranker="orders").invoke(QUERY)
    expected = search.search("one", QUERY, 3, reranker="orders").hits
    assert [one.id for one in again] == [hit.id for hit in expected]
    assert [one.metadata["first_rank"] for one in again] == [hit.first_rank for hit in expected]


def test_a_filter_keeps_what_fits_and_the_fields_are_told() -> None:
    found = WorkbenchRetriever(index="dated", where="year >= 2021").invoke(QUERY)
    assert sorted(one.id or "" for one in found) == ["n3", "n4", "n5"]
    own = {one.id: one.metadata["year"] for one in found}
    assert own == {"n3": 2021, "n4": 2022, "n5": 2023}
    first = found[0].metadata
    # A field that is called as something of ours is found among all fields.
    assert first["fields"]["score"] == "high" and isinstance(first["score"], float)
    assert first["tags"] == ["a"] and "picture" not in first
    few = WorkbenchRetriever(index="dated").invoke(QUERY, where="year in 2018, 2019")
    assert {one.metadata["year"] for one in few} == {2018, 2019}


def test_a_picture_is_told_by_its_file() -> None:
    hit = Hit("d1", 0, 0.5, "", "a caption", picture="pictures/0.png", fields={"colour": "red"})
    file = Path("/data") / hit.picture
    told = _document(hit, 1, "one", file).metadata
    assert told["picture"] == str(file) and told["colour"] == "red"


def test_a_call_may_say_otherwise() -> None:
    search = connect()
    ordered = WorkbenchRetriever(index="one", k=3, reranker="orders", candidates=20)
    plain = ordered.invoke(QUERY, reranker="")
    assert [one.id for one in plain] == [hit.id for hit in search.search("one", QUERY, 3).hits]
    few = ordered.invoke(QUERY, candidates=3)
    expected = search.search("one", QUERY, 3, reranker="orders", candidates=3).hits
    assert [one.id for one in few] == [hit.id for hit in expected]
    assert max(one.metadata["first_rank"] for one in few) == 3
    again = ordered.invoke(QUERY, k=5)
    expected = search.search("one", QUERY, 5, reranker="orders", candidates=20).hits
    assert [one.id for one in again] == [hit.id for hit in expected]


def test_many_documents_are_ordered_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message has a time limit, which a language model on a CPU would soon reach."""
    texts = [f"{TEXTS[at % 4]} {'cat ' * (at % 7)}" for at in range(150)]
    whole = connect().rerank("orders", QUERY, texts)
    sizes = []
    rerank = type(connect()).rerank

    def counted(client: Any, model: str, query: str, documents: Any) -> Any:
        sizes.append(len(documents))
        return rerank(client, model, query, documents)

    monkeypatch.setattr(type(connect()), "rerank", counted)
    given = [Document(page_content=text) for text in texts]
    found = WorkbenchReranker(model="orders").compress_documents(given, QUERY)
    assert sizes == [64, 64, 22]
    scores = [one.metadata["relevance_score"] for one in found]
    np.testing.assert_allclose(scores, np.sort(whole)[::-1], atol=1e-5)


@pytest.mark.parametrize("model", ["orders", "colbert"])
def test_a_reranker_keeps_the_best_and_says_their_scores(model: str) -> None:
    given = [Document(page_content=text, metadata={"page": at}) for at, text in enumerate(TEXTS)]
    scores = connect().rerank(model, QUERY, TEXTS)
    best = np.argsort(-scores, kind="stable")
    found = WorkbenchReranker(model=model, top_n=2).compress_documents(given, QUERY)
    assert [one.page_content for one in found] == [TEXTS[at] for at in best[:2]]
    assert found[0].metadata == {
        "page": int(best[0]),
        "relevance_score": pytest.approx(float(scores[best[0]])),
    }
    assert "relevance_score" not in given[0].metadata
    assert len(WorkbenchReranker(model=model).compress_documents(given, QUERY)) == len(TEXTS)
    assert WorkbenchReranker(model=model).compress_documents([], QUERY) == []


def test_what_is_not_there_is_a_sentence() -> None:
    with pytest.raises(ModelNotFound, match="Did you mean 'encodes'"):
        WorkbenchEmbeddings("encods").embed_query(QUERY)
    with pytest.raises(ModelUnusable, match="gives no vector"):
        WorkbenchEmbeddings("orders").embed_query(QUERY)
    with pytest.raises(IndexNotFound):
        WorkbenchRetriever(index="none").invoke(QUERY)
    with pytest.raises(BadInput, match="year"):
        WorkbenchRetriever(index="one", where="year >= 2020").invoke(QUERY)
    with pytest.raises(BadInput, match="year"):
        WorkbenchRetriever(index="one").invoke(QUERY, where="year >= 2020")
    with pytest.raises(ModelUnusable, match="cannot be a second stage"):
        WorkbenchReranker(model="encodes").compress_documents([Document(page_content="a")], "b")


def test_all_classes_over_one_home_share_one_process(home: str) -> None:
    assert connect() is connect(home)
    assert connect(str(Path(home) / ".." / "home")).status() != {}


def test_who_uses_them_does_not_load_torch(home: str) -> None:
    code = (
        "import sys\n"
        "from workbench.langchain import WorkbenchEmbeddings\n"
        f"found = WorkbenchEmbeddings('encodes', home={home!r}).embed_query('dog')\n"
        "print(len(found), sorted({'torch', 'transformers', 'faiss', 'gradio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[0] == "32 []", done.stdout + done.stderr
