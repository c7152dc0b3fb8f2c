"""Quantized models in use: taken away as a zip and used by their own lines, and searched with."""

import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import warm
from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeContext
from tests.workbench.search.test_search import QUERY, corpus
from workbench.jobs.outcome import made
from workbench.models.files import export_zip
from workbench.recipes.data import AddModelRecipe, ImportRecipe
from workbench.recipes.evaluate import IndexRecipe
from workbench.recipes.quantize import QuantizeRecipe
from workbench.takeaway.snippet import replaced_files, use_lines
from workbench.workspace import Workspace

# A tiny model is converted six times; torch is imported here, where what was taken is used, and in
# the search process: half a minute.
pytestmark = pytest.mark.slow

METHODS = ("bf16", "fp16", "int8", "nf4", "onnx", "onnx-int8")
TITLE, TEXTS = "the fox", ["jumps over the lazy dog", "a cat sat on the mat"]
USE = """
import contextlib, json, sys
found = {}
for name, lines in json.load(sys.stdin).items():
    place = {}
    with contextlib.redirect_stdout(sys.stderr):
        exec(compile(lines, name, "exec"), place)
    found[name] = [float(one) for one in place["scores"].ravel()]
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    from workbench.data.job import run_import
    from workbench.models.jobs import run_add
    from workbench.prepare import prepare
    from workbench.quantization.quantize import run

    folder = tmp_path_factory.mktemp("taken")
    opened = Workspace.open(folder / "home")
    context = FakeContext(opened)
    recipe = ImportRecipe(paths=[str(corpus(folder))], name="animals")
    run_import(prepare(recipe, opened, False), context)
    # Said otherwise than anybody would guess.
    otherwise: dict[str, Any] = {
        "query_prompt": "the quick ",
        "document_prompt": "brown ",
        "title_separator": " by ",
        "query_max_len": 8,
        "passage_max_len": 10,
    }
    run_add(AddModelRecipe(source=str(bert(folder / "one")), name="one", **otherwise), context)
    for method in METHODS:
        result = run(QuantizeRecipe(model="one", method=method, name=f"one-{method}"), context)
        assert made(opened.store, context.folder) == result
    yield opened
    opened.close()


def bert(folder: Path) -> Path:
    """Two layers of 64 dimensions: on CPUs that multiply bf16, bitsandbytes refuses to compute with
    4-bit layers that are narrower."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    shape = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    words = 4 + len(tiny.WORDS)
    config = BertConfig(
        vocab_size=words, intermediate_size=128, max_position_embeddings=64, **shape
    )
    model = BertModel(config)
    # Freshly drawn weights are so small that all texts look alike.
    for weight in model.parameters():
        weight.data.mul_(3.0)
    model.save_pretrained(folder)
    tiny.tokenizer(folder)
    return folder


def scores(workspace: Workspace, name: str) -> list[float]:
    """What the workbench makes of the texts with one of its models."""
    from workbench.models.load import load_embedding
    from workbench.models.locate import locate

    model = load_embedding(locate(workspace, name), device="cpu", precision="fp32")
    documents = model.encode([model.contract.join(TITLE, TEXTS[0]), TEXTS[1]], "document")
    found: list[float] = (model.encode([QUERY], "query") @ documents.T).ravel().tolist()
    return found


def test_a_quantized_model_is_used_elsewhere_by_its_own_lines(
    workspace: Workspace, tmp_path: Path
) -> None:
    lines = {}
    for method in METHODS:
        model = workspace.models.get(f"one-{method}")
        folder = workspace.path(model.path)
        path = export_zip(folder, tmp_path / f"{method}.zip", replaced_files(workspace, model))
        with zipfile.ZipFile(path) as archive:
            archive.extractall(tmp_path)
        lines[method] = ours(use_lines(workspace, model, str(tmp_path / method)))
    done = warm.run([sys.executable, "-P", "-c", USE], input=json.dumps(lines), cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for method in METHODS:
        # Bytes and halves are added up in another order there.
        off = 1e-4 if method.startswith("onnx") else 0.02
        np.testing.assert_allclose(
            found[method], scores(workspace, f"one-{method}"), atol=off, err_msg=method
        )


def ours(lines: str) -> str:
    """A snippet with our texts in the place of its examples."""
    for example, text in [
        ('"a question"', QUERY),
        ('"a title"', TITLE),
        ('"a text"', TEXTS[0]),
        ('"another text"', TEXTS[1]),
    ]:
        assert example in lines
        lines = lines.replace(example, repr(text))
    return lines


def test_an_index_is_built_and_searched_with_an_int8_graph(workspace: Workspace) -> None:
    from workbench.prepare import prepare
    from workbench.search.client import SearchClient
    from workbench.search.making import run_build

    wanted = IndexRecipe(dataset="animals", model="one-onnx-int8", name="small")
    built = run_build(prepare(wanted, workspace, False), FakeContext(workspace))
    assert built["recall@10"] == 1.0
    assert workspace.indexes.get("small").contract["weights"] == "onnx-int8"
    client = SearchClient(workspace)
    try:
        found = client.search("small", QUERY, 5)
    finally:
        client.close()
    assert [hit.score for hit in found.hits] == pytest.approx(best(workspace, 5), abs=1e-3)
    assert found.known_relevant == 1


def best(workspace: Workspace, count: int) -> Any:
    """The best scores by a plain matrix product with the same graph, read anew."""
    from workbench.models.load import load_embedding
    from workbench.models.locate import locate

    texts = workspace.datasets.read("animals").documents()["text"].to_pylist()
    model = load_embedding(locate(workspace, "one-onnx-int8"))
    found = model.encode(texts, "document") @ model.encode([QUERY], "query")[0]
    return np.sort(found)[::-1][:count].tolist()
