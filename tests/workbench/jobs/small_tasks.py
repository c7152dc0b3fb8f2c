"""Small tasks without torch, for real processes: found through WORKBENCH_EXTRA_TASKS."""

import json
import os
import signal
import subprocess
import sys
import time
from typing import Any, ClassVar

from storage.records import SlotKind
from workbench.errors import TrainingDiverged
from workbench.jobs.files import write_made
from workbench.jobs.reporting import JobContext
from workbench.models.registry import from_job, new_model
from workbench.recipes.base import Recipe, setting
from workbench.tasks import Task

WHERE = "tests.workbench.jobs.small_tasks:TASKS"


class CountRecipe(Recipe):
    """Count, report each step, keep a checkpoint; stumble as told."""

    task: ClassVar[str] = "count"

    name: str = setting("", help="What it is called.")
    steps: int = setting(3, help="How far to count.")
    delay: float = setting(0.0, help="Seconds per step.")
    device: str = setting("auto", help="As the training recipes have it.")
    fail_at: int = setting(-1, help="The step at which it fails, in the first attempt only.")
    how: str = setting("", help="How it fails.")
    idle: bool = setting(False, help="Looks at no cancel flag.")
    deaf: bool = setting(False, help="Looks at no cancel flag and ignores SIGTERM.")
    child: bool = setting(False, help="Starts a process of its own that would stay.")


class LightRecipe(CountRecipe):
    """The same in the light slot."""

    task: ClassVar[str] = "count-light"


class MakeRecipe(CountRecipe):
    """Make a model, and stumble as told when it is on record (``fail_at`` 1) or before (0)."""

    task: ClassVar[str] = "make"


def run_make(recipe: MakeRecipe, context: JobContext) -> dict[str, Any]:
    models = context.workspace.models
    id, folder = models.new_folder()
    (folder / "weights").write_text("whole")
    model = from_job(new_model(id, models.free_name("made"), contract={}, summary={}), "")
    if recipe.fail_at == 0 and not context.resuming:
        _fail(recipe.how)
    result = {"model": model.name, "attempt": context.job.attempt}
    write_made(context.folder, model.path, result)
    models.add(model)
    if recipe.fail_at == 1:
        _fail(recipe.how)
    return result


def run(recipe: CountRecipe, context: JobContext) -> dict[str, Any]:
    if recipe.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if recipe.child:
        sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        (context.folder / "child.pid").write_text(str(sleeper.pid))
    checkpoint = context.folder / "checkpoint.json"
    begin = 0
    if context.resuming and checkpoint.exists():
        begin = json.loads(checkpoint.read_text())["step"]
        context.forget_metrics_after(begin)
    print(f"counting from {begin}")
    for step in range(begin + 1, recipe.steps + 1):
        if not (recipe.deaf or recipe.idle):
            context.check_cancelled()
        if step == recipe.fail_at and not context.resuming:
            print("about to stumble", flush=True)
            if recipe.how == "not-json":
                return {"counted": object()}
            _fail(recipe.how)
        context.metrics(step, "train", {"loss": 1.0 / step})
        context.progress(step, recipe.steps, "steps", "Counting")
        if step % 5 == 0:
            context.flush()  # what a checkpoint goes on from is on record
            checkpoint.with_suffix(".part").write_text(json.dumps({"step": step}))
            checkpoint.with_suffix(".part").rename(checkpoint)
        time.sleep(recipe.delay)
    return {"counted": recipe.steps, "from": begin, "pid": os.getpid(), "environment": _seen()}


def _fail(how: str) -> None:
    if how == "sentence":
        raise TrainingDiverged("The loss was not a number.", "Lower the learning rate.")
    if how == "exception":
        raise ValueError("what nobody thought of")
    if how == "memory":
        raise MemoryError
    if how == "exit":
        os._exit(7)
    os.kill(os.getpid(), getattr(signal, how))


def _seen() -> dict[str, Any]:
    names = ("TOKENIZERS_PARALLELISM", "CUDA_VISIBLE_DEVICES", "WORKBENCH_TRUST_REMOTE_CODE")
    return {name: os.environ.get(name) for name in names}


def prepare(recipe: CountRecipe, workspace: Any, waits: bool) -> CountRecipe:
    return recipe.model_copy(update={"name": recipe.name or ("waiting" if waits else "counting")})


_HERE = "tests.workbench.jobs.small_tasks"
TASKS = {
    "count": Task(CountRecipe, f"{_HERE}:run", SlotKind.TRAIN, f"{_HERE}:prepare", resumable=True),
    "count-light": Task(LightRecipe, f"{_HERE}:run", SlotKind.LIGHT, f"{_HERE}:prepare"),
    "make": Task(MakeRecipe, f"{_HERE}:run_make", SlotKind.LIGHT),
}
