"""A reranker never reads more than it has positions for, whatever lengths were asked."""

from pathlib import Path

import numpy as np
import pytest

from tests.workbench.models.fakes import located
from tests.workbench.training.fakes import save_tiny_model
from workbench.models.contract import as_kind
from workbench.models.inspect import inspect_folder

# Imports torch and sentence-transformers: six seconds.
pytestmark = pytest.mark.slow


def test_long_pairs_are_cut_to_the_models_positions(tmp_path: Path) -> None:
    from workbench.models.load import load_model

    folder = save_tiny_model(tmp_path / "tiny")
    contract = as_kind(inspect_folder(folder).contract, "reranker")
    assert contract.query_max_len + contract.passage_max_len <= 64
    long = contract.model_copy(update={"query_max_len": 200, "passage_max_len": 300})
    model = load_model(located(folder, long), device="cpu", precision="fp32")
    texts = ["which cat " * 200], ["here is a dog " * 300]
    assert np.isfinite(model.score(*texts, np.zeros((1, 2), np.int64))).all()  # type: ignore[union-attr, call-arg]
