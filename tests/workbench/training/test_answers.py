"""An LLM reranker is asked by the prompt and answers of its contract, wherever it comes from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.training.fakes import FakeReader, FakeWorkspace, save_decoder
from tests.workbench.training.test_cells import Cell, recipe_for
from workbench.models.load import load_model
from workbench.models.locate import locate_folder
from workbench.training.reranker import RerankerTraining

OWN = "{% for message in messages %}{# query, document #}{{ message['content'] }} {% endfor %}"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_decoder(tmp_path_factory.mktemp("plain") / "lm", "qwen2", answers=True)


def loaded(folder: Path, **values: Any) -> Any:
    """The reranker that a run with these fields would start from."""
    home: Any = FakeWorkspace(folder.parent, FakeReader({"train": []}))
    base = locate_folder(home, folder)
    values = {"prompt_template": "", **values}
    recipe = recipe_for(Cell("reranker", "qwen2-lm", "full"), folder, **values)
    return load_model(base, device="cpu", contract=RerankerTraining().start(recipe, base))


def ids(model: Any) -> tuple[int, int]:
    return model.model[1].true_token_id, model.model[1].false_token_id


def test_a_saved_one_takes_new_answers_and_another_prompt(plain: Path, tmp_path: Path) -> None:
    first = loaded(plain, prompt_template="{query} {document} {yes}")
    first.model.save_pretrained(str(tmp_path / "saved"))
    kept = loaded(tmp_path / "saved")
    assert ids(kept) == ids(first)
    assert kept.model.tokenizer.chat_template == first.model.tokenizer.chat_template
    other = {"prompt_template": "{document} {query}", "yes_token": "cat", "no_token": "dog"}
    changed = loaded(tmp_path / "saved", **other)
    encode = changed.model.tokenizer.encode
    assert ids(changed) == (encode("cat")[0], encode("dog")[0])
    # The same weights, asked otherwise from the plain checkpoint, give the same scores.
    pair = np.array([[0, 0]])
    score = changed.score(["which cat"], ["here is cat"], pair)
    assert np.allclose(score, loaded(plain, **other).score(["which cat"], ["here is cat"], pair))


def test_a_plain_models_own_prompt_is_used(plain: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(plain, tmp_path / "own"))
    (folder / "chat_template.jinja").write_text(OWN)
    found = loaded(folder)
    assert found.contract.prompt_template == ""
    assert found.model.tokenizer.chat_template == OWN
    assert loaded(plain).contract.prompt_template.startswith("Judge whether")
