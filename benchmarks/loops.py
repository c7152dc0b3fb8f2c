"""Step loops to be timed: ours for any kind, and the plain sentence-transformers script."""

import time
from importlib import import_module
from pathlib import Path
from typing import Any

from workbench.workspace import Workspace

#: Steps that are not counted: the first ones allocate.
WARM_UP = 2


class Silent:
    """A job context whose record is a list."""

    cancelled = False
    resuming = False
    job: Any = None

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
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.times: list[float] = []

        def on_step_end(self, *args: Any, **options: Any) -> None:
            if torch.cuda.is_available():
                # A GPU works on while Python goes ahead.
                torch.cuda.synchronize()
            self.times.append(time.perf_counter())

    return Clock()


def rate(times: list[float], batch: int) -> float:
    """Rows per second, from the end of the last warm-up step on."""
    counted = times[WARM_UP - 1 :]
    return batch * (len(counted) - 1) / (counted[-1] - counted[0])


def kind_of(recipe: Any) -> Any:
    """The training kind of a recipe."""
    name = recipe.kind.replace("-", "_")
    module = import_module(f"workbench.training.{name}")
    return getattr(module, "".join(part.capitalize() for part in name.split("_")) + "Kind")()


def ours(workspace: Workspace, recipe: Any, folder: Path) -> list[float]:
    """The times at which our steps ended, with all that we write down at each."""
    from workbench.models.locate import locate
    from workbench.models.precision import choose, pick_device
    from workbench.training.callbacks import Guard, Recorder
    from workbench.training.distributed import ProcessGroup
    from workbench.training.loss import apply_method, keeping_for
    from workbench.training.measure import Only
    from workbench.training.run import Run

    context: Any = Silent(workspace, folder)
    folder.mkdir(parents=True, exist_ok=True)
    kind, device = kind_of(recipe), pick_device(recipe.device)
    precision = choose(recipe.precision, device)
    reader = workspace.datasets.read(recipe.dataset)
    base = locate(workspace, recipe.model)
    this = Run(recipe, context, reader, base, folder, device, precision, None, None, ProcessGroup())
    loaded = this.load(base, kind.start(recipe, base), keeping_for(recipe, precision))
    contract = kind.contract(loaded, recipe, base.name)
    apply_method(loaded.model, recipe, base)
    recorder = Recorder(context, Guard(), folder / "runs", samples_per_step=recipe.batch_size)
    cadence = Only(recipe, context, this.together, None)
    trainer = kind.prepare(this, loaded.with_contract(contract), recorder, cadence).trainer
    timer = clock()
    trainer.add_callback(timer)
    trainer.train()
    return timer.times


def plain_embedding(workspace: Workspace, recipe: Any, folder: Path) -> list[float]:
    """What one writes after reading sentence-transformers' documentation."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
    from sentence_transformers.sentence_transformer.training_args import BatchSamplers

    model = SentenceTransformer(str(workspace.models.folder(recipe.model)), device=_device(recipe))
    model.max_seq_length = recipe.passage_max_len
    reader = workspace.datasets.read(recipe.dataset)
    table = reader.training_rows(negatives=0, seed=recipe.seed)
    anchors = _queries(reader, table["query"].to_pylist())
    positives = reader.documents_at(table["positive"].to_pylist())["text"].to_pylist()
    arguments = SentenceTransformerTrainingArguments(
        **_shared(recipe, folder),
        per_device_train_batch_size=recipe.batch_size,
        batch_sampler=BatchSamplers.NO_DUPLICATES,
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


def plain_reranker(workspace: Workspace, recipe: Any, folder: Path) -> list[float]:
    """The same for a cross-encoder, on the pairs that ours trains on."""
    from datasets import Dataset
    from sentence_transformers import CrossEncoder, CrossEncoderTrainer
    from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    from workbench.training.pairs import candidate_rows

    source = str(workspace.models.folder(recipe.model))
    model = CrossEncoder(source, num_labels=1, device=_device(recipe))
    model.max_seq_length = recipe.query_max_len + recipe.passage_max_len
    reader = workspace.datasets.read(recipe.dataset)
    rows = candidate_rows(reader, recipe, None)
    queries = _queries(reader, rows.queries.tolist())
    pairs: dict[str, list[Any]] = {"query": [], "document": [], "label": []}
    for query, positive, wrong in zip(queries, rows.positives, rows.negatives, strict=True):
        texts = reader.documents_at([int(positive), *map(int, wrong)])["text"].to_pylist()
        pairs["query"] += [query] * len(texts)
        pairs["document"] += texts
        pairs["label"] += [1.0] + [0.0] * (len(texts) - 1)
    arguments = CrossEncoderTrainingArguments(
        **_shared(recipe, folder),
        per_device_train_batch_size=recipe.batch_size * (1 + recipe.negatives),
    )
    timer = clock()
    CrossEncoderTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(pairs),
        loss=BinaryCrossEntropyLoss(model),
        callbacks=[timer],
    ).train()
    return timer.times


def _queries(reader: Any, rows: list[int]) -> list[str]:
    table = reader.queries("train").sort_by("row")
    first = table["row"][0].as_py()
    return [table["text"][row - first].as_py() for row in rows]


def _device(recipe: Any) -> str:
    from workbench.models.precision import pick_device

    return pick_device(recipe.device)


def _shared(recipe: Any, folder: Path) -> dict[str, Any]:
    from workbench.models.precision import choose

    device = _device(recipe)
    return {
        "output_dir": str(folder),
        "max_steps": recipe.max_steps,
        "learning_rate": recipe.learning_rate,
        "warmup_steps": recipe.warmup,
        "bf16": choose(recipe.precision, device) == "bf16",
        "use_cpu": device == "cpu",
        "seed": recipe.seed,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
