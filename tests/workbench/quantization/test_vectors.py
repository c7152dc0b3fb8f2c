"""Small codes of embeddings: what they hold, and what is found by them."""

from typing import Any

import numpy as np
import pytest

from workbench.recipes.quantize import VECTOR_METHODS, VectorFormat

# The codes are sentence-transformers' own, which takes 6 to 11 seconds to import.
pytestmark = pytest.mark.slow


def unit(count: int, size: int = 64, seed: int = 0) -> Any:
    made = np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def same(rows: Any) -> Any:
    return rows


def exact(queries: Any, documents: Any, k: int) -> Any:
    return np.argsort(-(queries @ documents.T), axis=1, kind="stable")[:, :k]


def recall(found: Any, wanted: Any) -> float:
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(wanted, found, strict=True)]))


@pytest.mark.parametrize("size", [0, 32])
@pytest.mark.parametrize("method", VECTOR_METHODS)
def test_rescoring_finds_what_is_near(method: str, size: int) -> None:
    from workbench.quantization.vectors import Codes, shaped

    documents = unit(400)
    queries = documents[:20] + 0.1 * unit(20, seed=1)
    format = VectorFormat(method, size)
    codes = Codes.of(documents, format, unit=True)
    run = codes.search(queries, k=10, rescore=4, order=same)
    assert run.documents.shape == (20, 10)
    assert (run.documents[:, 0] == np.arange(20)).all()
    wanted = exact(shaped(queries, format, True), shaped(documents, format, True), 10)
    least = {"float32": 1.0, "int8": 0.95, "uint8": 0.95, "binary": 0.6, "ubinary": 0.6}
    assert recall(run.documents, wanted) >= least[method]
    width = size or 64
    held = {"float32": 4 * width, "int8": width, "uint8": width}.get(method, width // 8)
    fine = width if method.endswith("binary") else 0
    assert (codes.held, codes.bytes) == (400 * held, 400 * (held + fine))


def test_rescoring_is_better_than_the_codes_alone() -> None:
    from workbench.quantization.vectors import Codes

    documents, queries = unit(600, 128), unit(40, 128, seed=2)
    codes = Codes.of(documents, VectorFormat("binary"), unit=True)
    wanted = exact(queries, documents, 10)
    alone = recall(codes.search(queries, k=10, rescore=0, order=same).documents, wanted)
    again = recall(codes.search(queries, k=10, rescore=4, order=same).documents, wanted)
    assert again > alone


@pytest.mark.parametrize("method", ["int8", "uint8"])
def test_what_lies_beyond_the_calibration_is_not_turned_around(method: str) -> None:
    from workbench.quantization.vectors import Codes

    inside = np.linspace(-1, 1, 200, dtype=np.float32).reshape(-1, 2)
    beyond = np.array([[5.0, -5.0]], dtype=np.float32)
    codes = Codes.of(beyond, VectorFormat(method), unit=False, calibration=inside)
    back = codes.decoded(np.array([0]))
    assert np.allclose(back, [[inside[:, 0].max(), inside[:, 1].min()]], atol=0.02)


@pytest.mark.parametrize("method", VECTOR_METHODS)
def test_dimensions_that_fill_no_byte_are_searched_too(method: str) -> None:
    from workbench.quantization.vectors import Codes

    documents = unit(200, 36)
    codes = Codes.of(documents, VectorFormat(method), unit=True)
    run = codes.search(documents[:20], k=5, rescore=4, order=same)
    assert (run.documents[:, 0] == np.arange(20)).all()
    held = {"float32": 144, "int8": 36, "uint8": 36}.get(method, 5)
    assert codes.held == 200 * held


@pytest.mark.parametrize("method", ["int8", "uint8"])
def test_bytes_are_searched_as_bytes_and_found_as_their_values_say(method: str) -> None:
    """FAISS must not hold four bytes of float for each."""
    import faiss

    from workbench.quantization.vectors import Codes, QuantizedIndex

    documents, queries = unit(300), unit(10, seed=3)
    codes = Codes.of(documents, VectorFormat(method), unit=True)
    ready = QuantizedIndex(codes)
    held = faiss.vector_to_array(faiss.downcast_index(ready._index).codes)
    assert held.nbytes == codes.held
    wanted = exact(queries, codes.decoded(np.arange(300)), 10)
    found = ready.search(queries, k=10, rescore=0, order=same)
    assert (found.documents == wanted).all()


@pytest.mark.parametrize("method", VECTOR_METHODS)
def test_blocks_make_no_difference(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.quantization import vectors

    documents, queries = unit(100), unit(5, seed=4)
    about = {"k": 10, "rescore": 2, "order": same}
    whole = vectors.Codes.of(documents, VectorFormat(method, 24), unit=True)
    monkeypatch.setattr(vectors, "_BLOCK", 7)
    parts = vectors.Codes.of(documents, VectorFormat(method, 24), unit=True)
    assert (whole.documents == parts.documents).all()
    found = [one.search(queries, **about).documents for one in (whole, parts)]
    assert (found[0] == found[1]).all()


def test_equal_scores_are_ordered_as_everywhere() -> None:
    from workbench.quantization.vectors import Codes

    documents = np.repeat(unit(1, 8), 4, axis=0)
    codes = Codes.of(documents, VectorFormat("binary"), unit=True)
    run = codes.search(documents[:1], k=4, rescore=1, order=lambda rows: 3 - rows)
    assert run.documents.tolist() == [[3, 2, 1, 0]]
