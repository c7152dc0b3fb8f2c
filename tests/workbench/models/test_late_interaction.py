"""MaxSim in tiles, and pairs scored a block of documents at a time."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.models import tiny
from tests.workbench.models.fakes import located
from workbench.models.contract import Contract

pytestmark = pytest.mark.slow  # loads torch


def test_each_document_is_encoded_once_and_few_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.models import late_interaction
    from workbench.models.load import load_model

    monkeypatch.setattr(late_interaction, "_HELD", 2)
    contract = Contract(kind="late-interaction", query_max_len=8, passage_max_len=16)
    local = located(tiny.bert(tmp_path / "model"), contract)
    model = load_model(local, device="cpu", precision="fp32")
    queries = ["quick brown fox", "lazy dog"]
    documents = ["the fox jumps over the lazy dog", "a dog", "", "the cat sat on the mat", "fox"]
    pairs = np.array([(1, 4), (0, 0), (0, 3), (1, 0), (0, 2), (1, 1)], np.int64)
    whole = model.max_sim(model.encode(queries, "query"), model.encode(documents, "document"))
    seen: list[tuple[int, int]] = []
    found = model.score(queries, documents, pairs, progress=lambda *one: seen.append(one))
    assert found == pytest.approx(whole[pairs[:, 0], pairs[:, 1]], abs=1e-4)
    assert [done for done, _ in seen] == [2, 4, 6, 7] and {of for _, of in seen} == {7}


def one_by_one(query: Any, document: Any) -> float:
    """MaxSim as it is defined."""
    return float(sum(max(one @ other for other in document) for one in query))


@pytest.mark.parametrize("tile", [1, 200, 4_000_000])
@pytest.mark.parametrize("all_negative", [False, True])
def test_tiles_give_what_one_pair_at_a_time_gives(
    tile: int, all_negative: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts of every length, none among them: what is padded counts for nothing, even where every
    real cosine is below the padding's 0."""
    from workbench.models import late_interaction

    monkeypatch.setattr(late_interaction, "_TILE", tile)
    monkeypatch.setattr(late_interaction, "_ASKED", 8)
    random = np.random.default_rng(3)

    def texts(lengths: list[int], sign: float) -> list[Any]:
        found = [random.standard_normal((length, 16)).astype(np.float32) for length in lengths]
        found = [sign * np.abs(one) if all_negative else one for one in found]
        return [one / np.linalg.norm(one, axis=1, keepdims=True) for one in found]

    queries, documents = texts([3, 1, 7, 5], 1.0), texts([2, 9, 4, 4, 1, 12], -1.0)
    queries.insert(1, np.empty((0, 16), np.float32))
    documents.insert(2, np.empty((0, 0), np.float32))
    wanted = [
        [one_by_one(one, other) if len(one) and len(other) else 0.0 for other in documents]
        for one in queries
    ]
    whole = late_interaction.max_sim(queries, documents)
    assert whole == pytest.approx(np.array(wanted), abs=1e-5)
    pairs = random.permutation([(q, d) for q in range(5) for d in range(7)])[:20]
    found = late_interaction.max_sim_of(queries, documents, pairs)
    assert found == pytest.approx(whole[pairs[:, 0], pairs[:, 1]], abs=1e-5)
    assert late_interaction.max_sim(queries, []).shape == (5, 0)
    assert late_interaction.max_sim_of(queries, documents, pairs[:0]).shape == (0,)


def test_one_long_query_leaves_the_others_together(monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.models import late_interaction

    together: list[int] = []
    padded = late_interaction._padded

    def counted(texts: Any, device: str, *, zeros: bool = False) -> Any:
        together.extend([len(texts)] if zeros else [])
        return padded(texts, device, zeros=zeros)

    monkeypatch.setattr(late_interaction, "_padded", counted)
    monkeypatch.setattr(late_interaction, "_ASKED", 8)
    queries = [np.full((length, 2), 0.5, np.float32) for length in (1, 2, 9, 2, 2, 2)]
    found = late_interaction.max_sim(queries, [np.eye(2, dtype=np.float32)])
    assert together == [1, 4, 1]
    assert found[:, 0].tolist() == [0.5, 1.0, 4.5, 1.0, 1.0, 1.0]


def test_pairs_far_from_the_next_tile_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    from workbench.models import late_interaction

    looked: list[int] = []
    fitting = late_interaction._fitting

    def counted(lengths: Any, width: int) -> int:
        looked.append(len(lengths))
        return fitting(lengths, width)

    monkeypatch.setattr(late_interaction, "_fitting", counted)
    monkeypatch.setattr(late_interaction, "_TILE", 40)
    texts = [np.eye(length, 4, dtype=np.float32) for length in (2, 4)]
    pairs = np.array([(0, 0)] * 7 + [(0, 1)] * 4, np.int64)
    found = late_interaction.max_sim_of(texts, texts, pairs)
    assert found.tolist() == [2.0] * 11
    assert looked == [5, 5, 2, 2], "no more than the first one's size lets fit"


def test_token_vectors_are_summed_text_by_text() -> None:
    """A projection needs no more memory than the texts themselves take."""
    from workbench.models.late_interaction import gram

    random = np.random.default_rng(2)
    texts = [random.normal(size=(50, 64)).astype(np.float32) for _ in range(200)]
    texts.append(np.empty((0, 0), np.float32))
    whole = np.concatenate(texts[:-1]).astype(np.float64)
    tracemalloc.start()
    try:
        found = gram(texts)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.allclose(found, whole.T @ whole)
    assert most < whole.nbytes / 10


def test_a_projection_keeps_what_it_can_of_token_vectors() -> None:
    from workbench.models.late_interaction import gram, principal

    random = np.random.default_rng(1)
    # Ten directions carry most of what 40 dimensions hold.
    vectors = random.normal(size=(500, 10)) @ random.normal(size=(10, 40))
    vectors = vectors + 0.1 * random.normal(size=vectors.shape)

    def cosines(of: Any) -> Any:
        unit = of / np.linalg.norm(of, axis=1, keepdims=True)
        return unit @ unit.T

    weights = principal(gram([vectors]), 10)
    assert weights.shape == (10, 40)
    assert np.array_equal(weights, principal(gram([vectors]), 10))
    kept = vectors @ weights.T
    chance = vectors @ random.uniform(-1, 1, (10, 40)).T
    assert np.abs(cosines(kept) - cosines(vectors)).mean() < 0.01
    assert np.abs(cosines(chance) - cosines(vectors)).mean() > 0.1
    assert (kept**2).sum() == pytest.approx((vectors**2).sum())
    # With room for all nothing is lost, and no row is empty.
    wide = principal(gram([vectors]), 64)
    assert np.allclose(cosines(vectors @ wide.T), cosines(vectors))
    assert (np.linalg.norm(wide, axis=1) > 0.1).all()
    # Fewer tokens than dimensions.
    assert np.linalg.matrix_rank(principal(gram([vectors[:3]]), 10)) == 10
