"""Pairs scored by late interaction a block of documents at a time."""

from pathlib import Path

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
