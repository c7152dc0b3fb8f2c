"""The task 'draw-pictures': the pictures' sample, a data set and a model to train on it."""

import shutil
from functools import partial
from io import BytesIO
from typing import Any

from workbench.data.job import build
from workbench.data.problems import Report
from workbench.data.shapes.row import Document, Row, as_fields
from workbench.data.splits import Shares
from workbench.data.write_dataset import Assembly
from workbench.errors import NameTaken
from workbench.jobs.files import write_made
from workbench.jobs.outcome import made
from workbench.jobs.reporting import JobContext
from workbench.models.contract import check_name
from workbench.pictures.captions import Scene, draw, scenes, words
from workbench.pictures.importing import FORMAT
from workbench.pictures.store import keep_picture
from workbench.recipes.data import DrawPicturesRecipe
from workbench.workspace import Workspace

UNTRAINED = (
    "The model '{0}' has random weights: its results are random until it is trained on these "
    "pictures (kind image-text, preset scratch)."
)


def prepare(
    recipe: DrawPicturesRecipe, workspace: Workspace, _waits: bool = False
) -> DrawPicturesRecipe:
    """The recipe with a free name of the model; raises :class:`NameTaken`."""
    model = check_name(recipe.model) if recipe.model.strip() else ""
    if model and workspace.models.exists(model):
        raise NameTaken(
            f"There is already a model named '{model}'.",
            f"Choose another name, for example '{workspace.models.free_name(model)}', or leave it "
            "empty to draw pictures only.",
        )
    return recipe.model_copy(update={"model": model})


def drawn(workspace: Workspace) -> DrawPicturesRecipe:
    """The sample under names that are free; its model once is enough."""
    plain = DrawPicturesRecipe()
    model = "" if workspace.models.exists(plain.model) else plain.model
    name = workspace.datasets.free_name(plain.name)
    return plain.model_copy(update={"name": name, "model": model})


def run(recipe: DrawPicturesRecipe, context: JobContext) -> dict[str, Any]:
    """Draw, and make the model. Returns what ``data add`` prints, and ``model``."""
    fill = partial(_draw, recipe, context)
    drawn = context.folder / "drawn"
    drawn.mkdir(exist_ok=True)
    # A killed attempt may have come as far as the data set.
    result = made(context.workspace.store, drawn) or build(
        recipe.name, fill, Shares(seed=recipe.seed), context, noted_in=drawn
    )
    result = {**result, "model": None}
    return _with_model(recipe, context, result) if recipe.model else result


def _draw(recipe: DrawPicturesRecipe, context: JobContext, assembly: Assembly) -> None:
    # Test first: it stays the same however many others are drawn.
    wanted = {
        "test": recipe.test_pictures,
        "dev": recipe.dev_pictures,
        "train": recipe.train_pictures,
    }
    total = sum(wanted.values())
    found = scenes(total, recipe.seed)
    done = 0
    for split, count in wanted.items():
        assembly.builder.begin(Report(assembly.log, f"drawn ({split})"), split)
        for at, scene in enumerate(found[done : done + count]):
            if at % 50 == 0:
                context.check_cancelled()
                context.progress(done + at, total, "pictures", "Drawing")
            _add(scene, f"{split}-{at + 1:05}.png", recipe, done + at, assembly)
        done += count
    assembly.builder.flush()
    assembly.formats[FORMAT] = total
    assembly.notes.append(
        f"Drawn by the workbench with seed {recipe.seed}: {total:,} pictures of "
        f"{recipe.size} x {recipe.size} pixels, no two with the same caption."
    )


def _add(scene: Scene, name: str, recipe: DrawPicturesRecipe, at: int, assembly: Assembly) -> None:
    out = BytesIO()
    draw(scene, recipe.size, recipe.seed + at).save(out, "PNG")
    picture = keep_picture(assembly.folder, out.getvalue(), name)
    first = scene.groups[0]
    about = {"colour": first.colour, "shape": first.shape, "groups": len(scene.groups)}
    document = Document(scene.caption(), id=name, fields=as_fields(about), picture=picture)
    assembly.builder.add(at + 1, Row(scene.caption(), [document], [1]))


def _with_model(
    recipe: DrawPicturesRecipe, context: JobContext, result: dict[str, Any]
) -> dict[str, Any]:
    from workbench.models.registry import from_job, new_model
    from workbench.models.small_clip import make_small_clip

    context.progress(0, None, message="Making the model")
    models = context.workspace.models
    name = models.free_name(recipe.model)
    id, folder = models.new_folder()
    try:
        contract = make_small_clip(folder, words(), recipe.size, recipe.seed)
        about = {"origin": "made", "source": "random weights"}
        model = new_model(id, name, contract=contract.model_dump(mode="json"), summary=about)
        result = {**result, "model": name}
        write_made(context.folder, model.path, result)
        models.add(from_job(model, context.job.id))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    context.note(UNTRAINED.format(name))
    return result
