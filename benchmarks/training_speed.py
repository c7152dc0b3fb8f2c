"""Samples per second of our training against a plain sentence-transformers script.

    python benchmarks/training_speed.py [--steps 8] [--repeats 5] [--batch 32] [--length 128]

Same model, same rows in the same order, same batch, same length, same number format, in one
process, interleaved (ours, plain, ours, plain ...). Counted is the step loop from the end of the
second step to the end of the last, with all that we write down at each step, without evaluating and
saving. The last line has the median of the repeats' ratios.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workbench.jobs.supervisor import Supervisor
from workbench.recipes.data import SampleRecipe
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.workspace import Workspace

WARM_UP = 2


class Silent:
    """A job context whose record is a list."""

    cancelled = False
    resuming = False

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.folder = folder
        self.rows: list[Any] = []

    def progress(self, *args: Any) -> None: ...

    def note(self, message: str) -> None: ...

    def check_cancelled(self) -> None: ...

    def metrics(self, *row: Any) -> None:
        self.rows.append(row)


def clock() -> Any:
    """A trainer callback that keeps the time at which each step ended."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_step_end(self, *args: Any, **options: Any) -> None:
            self.times.append(time.perf_counter())

    return Clock()


def ours(workspace: Workspace, recipe: TrainEmbeddingRecipe, folder: Path) -> list[float]:
    from workbench.models.precision import choose, pick_device
    from workbench.models.resolve import resolve
    from workbench.training.cadence import Cadence
    from workbench.training.embedding import make_trainer
    from workbench.training.guard import Guard
    from workbench.training.model import trained_contract
    from workbench.training.recorder import Recorder
    from workbench.training.rows import build_rows
    from workbench.training.run import Run

    context: Any = Silent(workspace, folder)
    device = pick_device(recipe.device)
    precision = choose(recipe.precision, device)
    reader = workspace.datasets.read(recipe.dataset)
    base = resolve(workspace, recipe.model)
    this = Run(recipe, context, reader, base, folder, device, precision, None)
    loaded = this.load(base)
    contract = trained_contract(loaded.contract, loaded.model, recipe, base.name)
    recorder = Recorder(context, Guard(), folder / "runs", samples_per_step=recipe.batch_size)
    rows = build_rows(reader, recipe)
    cadence = Cadence(recipe, context, has_dev=False)
    trainer = make_trainer(this, loaded.with_contract(contract), rows, recorder, cadence)
    timer = clock()
    trainer.add_callback(timer)
    trainer.train()
    assert len(context.rows) >= recipe.max_steps
    return timer.times


def plain(workspace: Workspace, recipe: TrainEmbeddingRecipe, folder: Path) -> list[float]:
    """What one writes after reading sentence-transformers' documentation."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.training_args import BatchSamplers

    from workbench.models.precision import choose, pick_device

    device = pick_device(recipe.device)
    model = SentenceTransformer(str(workspace.models.folder(recipe.model)), device=device)
    model.max_seq_length = recipe.passage_max_len
    reader = workspace.datasets.read(recipe.dataset)
    table = reader.training_rows(negatives=0, seed=recipe.seed)
    queries = reader.queries("train").sort_by("row")
    first = queries["row"][0].as_py()
    anchors = [queries["text"][row - first].as_py() for row in table["query"].to_pylist()]
    positives = reader.documents_at(table["positive"].to_pylist())["text"].to_pylist()
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder),
        max_steps=recipe.max_steps,
        per_device_train_batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        warmup_steps=recipe.warmup,
        bf16=choose(recipe.precision, device) == "bf16",
        use_cpu=device == "cpu",
        batch_sampler=BatchSamplers.NO_DUPLICATES,
        seed=recipe.seed,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    timer = clock()
    SentenceTransformerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict({"anchor": anchors, "positive": positives}),
        loss=MultipleNegativesRankingLoss(model),
        callbacks=[timer],
    ).train()
    return timer.times


def rate(times: list[float], batch: int) -> float:
    counted = times[WARM_UP - 1 :]
    return batch * (len(counted) - 1) / (counted[-1] - counted[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="training-speed-"))
    try:
        measure(home, asked)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def measure(home: Path, asked: argparse.Namespace) -> None:
    workspace = Workspace.open(home)
    sample = workspace.jobs.submit(SampleRecipe())
    Supervisor(workspace).run_until(sample.id, lambda job: None)
    recipe = TrainEmbeddingRecipe(
        dataset="stdlib-code",
        model=workspace.models.ensure_packaged().name,
        batch_size=asked.batch,
        max_steps=asked.steps + WARM_UP,
        # One length for both: the plain script knows no other way.
        query_max_len=asked.length,
        passage_max_len=asked.length,
        negatives=0,
    )
    ratios = []
    for repeat in range(asked.repeats):
        found = {}
        for name, arm in (("ours", ours), ("plain", plain)):
            folder = home / f"{name}-{repeat}"
            found[name] = rate(arm(workspace, recipe, folder), asked.batch)
        ratios.append(found["ours"] / found["plain"])
        print(
            f"repeat {repeat + 1}: ours {found['ours']:.2f}, plain {found['plain']:.2f} samples/s, "
            f"ratio {ratios[-1]:.3f}",
            flush=True,
        )
    low, high = min(ratios), max(ratios)
    print(f"median ratio {statistics.median(ratios):.3f} (from {low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
