"""Texts by one model and pictures by another: added as one, used as one."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.workbench.models.fakes import FakeContext, located
from tests.workbench.models.shapes import SHAPES, legacy, multilingual
from workbench.errors import BadInput, ModelUnusable
from workbench.models.inspect import inspect_folder
from workbench.models.locate import locate
from workbench.models.resolve import resolve
from workbench.pictures.captions import words
from workbench.prepare import prepare
from workbench.recipes.data import AddModelRecipe
from workbench.workspace import Workspace

SEEN = [Image.new("RGB", (50, 40), "red"), Image.new("RGB", (30, 60), "blue")]
SAID = ["the quick fox", "a lazy dog", "the cat sat on the mat"]


@pytest.fixture
def opened(home: Path) -> Iterator[Workspace]:
    workspace = Workspace.open(home)
    yield workspace
    workspace.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As clip-ViT-B-32 is shared: 64 dimensions."""
    from workbench.models.small_clip import make_small_clip

    folder = tmp_path_factory.mktemp("clip")
    make_small_clip(folder / "whole", words(), 48, 3)
    return legacy(folder / "whole", folder / "clip-small")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return multilingual(tmp_path_factory.mktemp("texts") / "many-languages", 64)


def added(opened: Workspace, **values: Any) -> str:
    from workbench.models.jobs import run_add

    result = run_add(prepare(AddModelRecipe(**values), opened, False), FakeContext(opened))
    return str(result["model"])


# Models are made and loaded: a second each, after the libraries' ten.
@pytest.mark.slow
def test_texts_by_one_pictures_by_the_other(
    opened: Workspace, clip: Path, texts: Path, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    from workbench.models.files import export_zip
    from workbench.models.load import load_model

    name = added(opened, source=str(texts), pictures_by=str(clip))
    model = opened.models.get(name)
    assert (name, model.kind) == ("many-languages", "image-text")
    assert model.contract["pictures_by"] == "clip-small" and model.contract["dimensions"] == 64
    loaded = load_model(locate(opened, name), device="cpu", precision="fp32")
    said, seen = loaded.encode(SAID), loaded.encode_pictures(SEEN)
    assert said.shape == (3, 64) and seen.shape == (2, 64)
    # Each side is what the library makes of the folder it came from.
    plain = SentenceTransformer(str(texts)).encode(SAID, normalize_embeddings=True)
    assert np.allclose(said, plain, atol=1e-5)
    whole = load_model(locate(opened, str(clip)), device="cpu", precision="fp32")
    assert np.allclose(seen, whole.encode_pictures(SEEN), atol=1e-5)
    # Taken away as a zip and brought back elsewhere, it is the same model.
    archive = export_zip(opened.models.folder(name), tmp_path / "taken.zip")
    shutil.unpack_archive(archive, tmp_path / "there")
    again = added(opened, source=str(tmp_path / "there" / "taken"))
    back = load_model(locate(opened, again), device="cpu", precision="fp32")
    assert opened.models.get(again).contract == model.contract
    assert np.array_equal(back.encode(SAID), said)
    assert np.array_equal(back.encode_pictures(SEEN), seen)
    # Of two that are in the workspace already, neither is needed afterwards.
    added(opened, source=str(texts), name="only-texts")
    added(opened, source=str(clip), name="only-clip")
    pair = added(opened, source="only-texts", pictures_by="only-clip")
    assert pair == "only-texts-with-pictures"
    for one in ("only-texts", "only-clip"):
        opened.models.remove(one)
    third = load_model(locate(opened, pair), device="cpu", precision="fp32")
    assert np.array_equal(third.encode_pictures(SEEN), seen)


@pytest.mark.slow
def test_a_pair_is_used_and_not_trained(opened: Workspace, clip: Path, texts: Path) -> None:
    from sentence_transformers import SentenceTransformer

    from workbench.models.load import load_model
    from workbench.models.resolve import full_model
    from workbench.recipes.train_kinds import TrainImageTextRecipe
    from workbench.takeaway.snippet import use_lines
    from workbench.training.image_text import ImageTextTraining

    name = added(opened, source=str(texts), pictures_by=str(clip))
    pair = locate(opened, name)
    recipe = TrainImageTextRecipe(dataset="d", model=name)
    for refused in (
        lambda: full_model(opened, name),
        lambda: ImageTextTraining().start(recipe, pair),
    ):
        with pytest.raises(BadInput, match="not trained or blended") as found:
            refused()
        assert "'clip-small'" in str(found.value)
    # The lines that use it elsewhere give the same numbers.
    said = use_lines(opened, opened.models.get(name))
    where: dict[str, Any] = {}
    lines = said.replace('Image.open("a-picture.jpg")', "shown").replace("a caption", SAID[0])
    exec(compile(lines, "snippet", "exec"), {"shown": SEEN[0]}, where)
    loaded = load_model(pair, device="cpu", precision="fp32")
    here = loaded.encode(SAID[:1]) @ loaded.encode_pictures(SEEN[:1]).T
    assert np.allclose(where["scores"], here, atol=1e-5)
    assert isinstance(where["eyes"], SentenceTransformer)


@pytest.mark.slow
def test_what_does_not_fit_together_is_said(
    opened: Workspace, clip: Path, texts: Path, tmp_path: Path
) -> None:
    short = multilingual(tmp_path / "short", 32)
    with pytest.raises(BadInput, match="vectors of 32 dimensions, pictures of 64"):
        added(opened, source=str(short), pictures_by=str(clip))
    with pytest.raises(BadInput, match="does not see pictures"):
        added(opened, source=str(texts), pictures_by=str(short))
    with pytest.raises(BadInput, match="'clip-small' is a image-text model: only a model"):
        added(opened, source=str(clip), pictures_by=str(clip))
    name = added(opened, source=str(texts), pictures_by=str(clip))
    with pytest.raises(BadInput, match="from another model already"):
        added(opened, source=str(texts), pictures_by=name, name="twice")
    shutil.rmtree(opened.models.folder(name) / "pictures")
    with pytest.raises(ModelUnusable, match="There is no folder"):
        resolve(opened, name)


@pytest.mark.slow
def test_what_the_job_refuses_leaves_nothing(opened: Workspace, clip: Path, tmp_path: Path) -> None:
    from workbench.models.jobs import run_add

    long = multilingual(tmp_path / "long", 96)
    # As a job that waited for another one: nothing was checked at the click.
    recipe = AddModelRecipe(source=str(long), name="long", pictures_by=str(clip))
    with pytest.raises(BadInput, match="vectors of 96 dimensions, pictures of 64"):
        run_add(recipe, FakeContext(opened))
    assert opened.models.list() == [] and not list((opened.home / "models").glob("*/*"))


def test_the_catalogue_knows_whose_pictures(opened: Workspace) -> None:
    from workbench.models.towers import pictures_of

    hub = "sentence-transformers/clip-ViT-B-32-multilingual-v1"
    clip = "sentence-transformers/clip-ViT-B-32"
    assert pictures_of(AddModelRecipe(source=hub)) == clip
    assert pictures_of(AddModelRecipe(source=hub, kind="embedding")) == ""
    assert pictures_of(AddModelRecipe(source=hub, pictures_by="mine")) == "mine"
    assert pictures_of(AddModelRecipe(source="/there/clip-ViT-B-32-multilingual-v1")) == ""
    assert pictures_of(AddModelRecipe(source=clip)) == ""


@pytest.mark.slow
@pytest.mark.parametrize("shape", list(SHAPES))
def test_shapes_of_towers(shape: str, tmp_path: Path) -> None:
    import torch

    from workbench.models.load import load_model

    torch.manual_seed(5)
    folder, dimensions = SHAPES[shape](tmp_path / shape)
    found = inspect_folder(folder)
    assert found.contract.kind == "image-text" and found.contract.dimensions == dimensions
    model = load_model(located(folder), device="cpu", precision="fp32")
    two = ["红 星", "蓝 圆 环"] if shape == "chinese-clip" else ["two red stars", "a blue ring"]
    said, seen = model.encode(two), model.encode_pictures(SEEN)
    assert said.shape == seen.shape == (2, dimensions)
    first = model.encode(two[:1]), model.encode_pictures(SEEN[:1])
    for one, alone in zip((said, seen), first, strict=True):
        assert np.allclose(np.linalg.norm(one, axis=1), 1, atol=1e-5)
        assert np.allclose(alone, one[:1], atol=1e-5) and not np.allclose(one[0], one[1], atol=1e-4)
