"""Step loops to be timed: ours for any kind, and the plain sentence-transformers script."""

import time
from functools import partial
from pathlib import Path
from typing import Any

from workbench.workspace import Workspace

#: Steps that are not counted: the first one allocates.
WARM_UP = 1

#: What each step had used when it ended: seconds by the clock, and of CPU.
Times = list[tuple[float, float]]


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
    """A trainer callback that keeps what each step had used when it ended."""
    import torch
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.times: Times = []

        def on_step_end(self, *args: Any, **options: Any) -> None:
            if torch.cuda.is_available():
                # A GPU works on while Python goes ahead.
                torch.cuda.synchronize()
            self.times.append((time.perf_counter(), time.process_time()))

    return Clock()


def each(times: Times) -> tuple[float, float]:
    """Seconds of a step, by the clock and of CPU, from the end of the last warm-up step on."""
    first, last, count = times[WARM_UP - 1], times[-1], len(times) - WARM_UP
    return (last[0] - first[0]) / count, (last[1] - first[1]) / count


def ours(workspace: Workspace, recipe: Any, folder: Path) -> Times:
    """Our steps, with all that we write down at each."""
    from workbench.models.locate import locate
    from workbench.models.precision import choose, pick_device
    from workbench.training.callbacks import Guard, Recorder
    from workbench.training.distributed import ProcessGroup
    from workbench.training.loss import apply_method, keeping_for
    from workbench.training.measure import Only
    from workbench.training.run import Run

    context: Any = Silent(workspace, folder)
    folder.mkdir(parents=True, exist_ok=True)
    kind = recipe.model_kind
    training, device = kind.load(kind.training)(), pick_device(recipe.device)
    precision = choose(recipe.precision, device)
    reader = workspace.datasets.read(recipe.dataset)
    base = locate(workspace, recipe.model)
    run = Run(recipe, context, reader, base, folder, device, precision, None, None, ProcessGroup())
    loaded = run.load(base, training.start(recipe, base), keeping_for(recipe, precision))
    contract = training.contract(loaded, recipe, base.name)
    apply_method(loaded.model, recipe, base)
    recorder = Recorder(context, Guard(), folder / "runs", samples_per_step=recipe.batch_size)
    cadence = Only(recipe, context, run.group, None)
    trainer = training.prepare(run, loaded.with_contract(contract), recorder, cadence).trainer
    timer = clock()
    trainer.add_callback(timer)
    trainer.train()
    return timer.times


def plain_embedding(workspace: Workspace, recipe: Any, folder: Path) -> Times:
    """What one writes after reading sentence-transformers' documentation."""
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    source = str(workspace.models.folder(recipe.model))
    model = without_dropout(SentenceTransformer(source, device=_device(recipe)), recipe)
    model.max_seq_length = recipe.passage_max_len
    texts, sampler = _texts(workspace, recipe)
    timer = clock()
    SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            **_shared(recipe, folder),
            per_device_train_batch_size=recipe.batch_size,
            batch_sampler=sampler,
        ),
        train_dataset=Dataset.from_dict(texts),
        loss=MultipleNegativesRankingLoss(model),
        callbacks=[timer],
    ).train()
    return timer.times


def plain_late_interaction(workspace: Workspace, recipe: Any, folder: Path) -> Times:
    """The same for a late-interaction model, with a new projection as ours gets."""
    from datasets import Dataset
    from sentence_transformers import MultiVectorEncoder, MultiVectorEncoderTrainer
    from sentence_transformers.multi_vector_encoder.losses import (
        MultiVectorMultipleNegativesRankingLoss,
    )
    from sentence_transformers.multi_vector_encoder.training_args import (
        MultiVectorEncoderTrainingArguments,
    )

    source = str(workspace.models.folder(recipe.model))
    model = without_dropout(MultiVectorEncoder(source, device=_device(recipe)), recipe)
    model.max_seq_length = recipe.passage_max_len
    texts, sampler = _texts(workspace, recipe)
    timer = clock()
    MultiVectorEncoderTrainer(
        model=model,
        args=MultiVectorEncoderTrainingArguments(
            **_shared(recipe, folder),
            per_device_train_batch_size=recipe.batch_size,
            batch_sampler=sampler,
        ),
        train_dataset=Dataset.from_dict(texts),
        loss=MultiVectorMultipleNegativesRankingLoss(model),
        callbacks=[timer],
    ).train()
    return timer.times


def plain_reranker(workspace: Workspace, recipe: Any, folder: Path) -> Times:
    """The same for a cross-encoder, on the pairs that ours trains on."""
    from datasets import Dataset
    from sentence_transformers import CrossEncoder, CrossEncoderTrainer
    from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    from workbench.models.contract import Contract
    from workbench.training.pairs import candidate_rows
    from workbench.training.rows import load_texts

    source = str(workspace.models.folder(recipe.model))
    model = CrossEncoder(source, num_labels=1, device=_device(recipe))
    model = without_dropout(model, recipe)
    model.max_seq_length = recipe.query_max_len + recipe.passage_max_len
    reader = workspace.datasets.read(recipe.dataset)
    rows = candidate_rows(reader, recipe, None)
    queries, documents = load_texts(reader, rows, Contract())
    pairs: dict[str, list[Any]] = {"query": [], "document": [], "label": []}
    for query, positive, wrong in zip(rows.queries, rows.positives, rows.negatives, strict=True):
        texts = documents.get([int(positive), *map(int, wrong)])
        pairs["query"] += queries.get([int(query)]) * len(texts)
        pairs["document"] += texts
        pairs["label"] += [1.0] + [0.0] * (len(texts) - 1)
    timer = clock()
    CrossEncoderTrainer(
        model=model,
        args=CrossEncoderTrainingArguments(
            **_shared(recipe, folder),
            per_device_train_batch_size=recipe.batch_size * (1 + recipe.negatives),
        ),
        train_dataset=Dataset.from_dict(pairs),
        loss=BinaryCrossEntropyLoss(model),
        callbacks=[timer],
    ).train()
    return timer.times


def without_dropout(model: Any, recipe: Any) -> Any:
    """The model with the recipe's dropout, where it names one."""
    from workbench.training.loss import set_dropout

    if recipe.dropout is not None:
        set_dropout(model, recipe.dropout)
    return model


def _texts(workspace: Workspace, recipe: Any) -> tuple[dict[str, list[str]], Any]:
    """Queries and their documents, as ours reads them, and what makes the very batches of ours:
    what a step costs depends on the lengths in its batch."""
    from workbench.models.contract import Contract
    from workbench.training.epoch import batching
    from workbench.training.rows import build_rows, load_texts
    from workbench.training.trainer import Batches

    reader = workspace.datasets.read(recipe.dataset)
    rows = build_rows(reader, recipe)
    queries, documents = load_texts(reader, rows, Contract())
    texts = {
        "anchor": queries.get(rows.queries.tolist()),
        "positive": documents.get(rows.positives.tolist()),
    }
    return texts, partial(Batches, batching(reader, rows, recipe, 1))


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
