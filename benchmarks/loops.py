"""Steps to be timed: ours for any kind, and those of the plain sentence-transformers script."""

import ctypes
import gc
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.sides import Row, Spent, spent
from workbench.workspace import Workspace

#: Steps that are not counted: the first one allocates.
WARM_UP = 1


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


# Trainers step by step, in turns.


@dataclass
class Steps:
    """What one trainer's steps took, from the end of one to the end of the next, and what was
    computed in them."""

    spent: list[Spent] = field(default_factory=list)
    #: In fp32, as the trainer was given them.
    losses: list[float] = field(default_factory=list)
    #: (tokens that are not padding, the sum of their texts' lengths) of each step.
    read: list[tuple[int, int]] = field(default_factory=list)
    #: Weights of linear layers, and layers x width.
    shape: tuple[int, int] = (0, 0)

    def operations(self, tokens: int, squares: int) -> int:
        """That reading so many tokens takes, forward and backward: of the linear layers, and of
        attention, for texts whose squared lengths have this sum."""
        weights, wide = self.shape
        return 6 * weights * tokens + 12 * wide * squares


def in_turns(trainers: Mapping[str, Callable[[], Any]], steps: int) -> dict[str, Steps]:
    """Train them side by side, one step of each at a time, in one order and then in the other.

    Each is made in a thread of its own, for ``steps`` and ``WARM_UP`` before them, which count for
    nothing but the losses.
    """
    if sys.platform == "linux":
        # All threads give memory back to one place (M_ARENA_MAX), else each keeps a step's.
        ctypes.CDLL(None).mallopt(-8, 1)
    every = {name: _Stepped(make) for name, make in trainers.items()}
    for turn in range(steps + WARM_UP):
        for name in list(every) if turn % 2 else list(every)[::-1]:
            every[name].step(counted=turn >= WARM_UP)
    for one in every.values():
        one.step(counted=False)
    found = {name: one.found for name, one in every.items()}
    every.clear()
    # A trainer and its model hold each other.
    gc.collect()
    return found


class _Stepped:
    """A trainer in a thread, which waits at the end of each step."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.found = Steps()
        self._make = make
        self._go, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._failed: BaseException | None = None
        threading.Thread(target=self._run, daemon=True).start()

    def step(self, *, counted: bool) -> None:
        """Let it go on to the end of its next step."""
        self._read = [0, 0]
        took = spent(self._turn)
        if self._failed is not None:
            raise self._failed
        if counted:
            self.found.spent.append(took)
            self.found.read.append((self._read[0], self._read[1]))

    def _turn(self) -> None:
        self._go.release()
        self._done.acquire()

    def _run(self) -> None:
        self._go.acquire()
        try:
            self._train(self._make())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._failed = error
        self._done.release()

    def _train(self, trainer: Any) -> None:
        from transformers import TrainerCallback

        done, go, compute = self._done, self._go, trainer.compute_loss
        # Else our next batches would be made in the other side's turn.
        trainer._thread_for_batches = lambda: None

        class Wait(TrainerCallback):
            def on_step_end(self, *args: Any, **options: Any) -> None:
                import torch

                if torch.cuda.is_available():
                    # A GPU works on while Python goes ahead.
                    torch.cuda.synchronize()
                done.release()
                go.acquire()

        def computed(*args: Any, **options: Any) -> Any:
            found = compute(*args, **options)
            self.found.losses.append(
                float((found[0] if isinstance(found, tuple) else found).detach())
            )
            return found

        def read(_: Any, given: tuple[Any, ...]) -> None:
            lengths = given[0]["attention_mask"].sum(dim=1)
            self._read[0] += int(lengths.sum())
            self._read[1] += int((lengths * lengths).sum())

        self.found.shape = _shape(trainer.model[0].model)
        trainer.compute_loss = computed
        trainer.model[0].register_forward_pre_hook(read)
        trainer.add_callback(Wait())
        trainer.train()


def times(name: str, ours: Steps, plain: Steps, note: str = "") -> list[Row]:
    """A step of both, by both clocks; plain may have none."""
    return [
        Row(
            f"{name}; {clock}",
            "s a step",
            "less",
            [getattr(one, unit) for one in ours.spent],
            [getattr(one, unit) for one in plain.spent],
            note,
        )
        for clock, unit in (("processor time", "cpu"), ("by the clock", "wall"))
    ]


def _shape(model: Any) -> tuple[int, int]:
    import torch

    # A pooler reads one token of a text.
    linear = [
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and "pooler" not in name
    ]
    return sum(linear), model.config.num_hidden_layers * model.config.hidden_size


def our_trainer(workspace: Workspace, recipe: Any, folder: Path) -> Any:
    """Ours, with all that we write down at each step."""
    from workbench.models.locate import locate
    from workbench.models.precision import choose, pick_device
    from workbench.training.callbacks import Guard, Only, Recorder
    from workbench.training.distributed import ProcessGroup
    from workbench.training.loss import apply_method, keeping_for
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
    return training.prepare(run, loaded.with_contract(contract), recorder, cadence).trainer


# What one writes after reading sentence-transformers' documentation.


def plain_trainer(workspace: Workspace, recipe: Any, folder: Path) -> Any:
    """The plain script's trainer for a recipe, over the very batches of ours: what a step costs
    depends on the lengths in its batch."""
    return _PLAIN[recipe.kind](workspace, recipe, folder)


def plain_embedding(workspace: Workspace, recipe: Any, folder: Path) -> Any:
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = _model(SentenceTransformer, workspace, recipe)
    model.max_seq_length = recipe.passage_max_len
    texts, sampler = _texts(workspace, recipe)
    return SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            **_shared(recipe, folder),
            per_device_train_batch_size=recipe.batch_size,
            batch_sampler=sampler,
        ),
        train_dataset=Dataset.from_dict(texts),
        loss=MultipleNegativesRankingLoss(model),
    )


def plain_late_interaction(workspace: Workspace, recipe: Any, folder: Path) -> Any:
    """With a new projection, as ours gets."""
    from datasets import Dataset
    from sentence_transformers import MultiVectorEncoder, MultiVectorEncoderTrainer
    from sentence_transformers.multi_vector_encoder.losses import (
        MultiVectorMultipleNegativesRankingLoss,
    )
    from sentence_transformers.multi_vector_encoder.training_args import (
        MultiVectorEncoderTrainingArguments,
    )

    model = _model(MultiVectorEncoder, workspace, recipe)
    model.max_seq_length = recipe.passage_max_len
    texts, sampler = _texts(workspace, recipe)
    return MultiVectorEncoderTrainer(
        model=model,
        args=MultiVectorEncoderTrainingArguments(
            **_shared(recipe, folder),
            per_device_train_batch_size=recipe.batch_size,
            batch_sampler=sampler,
        ),
        train_dataset=Dataset.from_dict(texts),
        loss=MultiVectorMultipleNegativesRankingLoss(model),
    )


def plain_reranker(workspace: Workspace, recipe: Any, folder: Path) -> Any:
    """On the pairs that ours trains on."""
    from datasets import Dataset
    from sentence_transformers import CrossEncoder, CrossEncoderTrainer
    from sentence_transformers.cross_encoder import CrossEncoderTrainingArguments
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    from workbench.models.contract import Contract
    from workbench.training.pairs import candidate_rows
    from workbench.training.rows import load_texts

    model = _model(CrossEncoder, workspace, recipe, num_labels=1)
    model.max_seq_length = recipe.query_max_len + recipe.passage_max_len
    reader = workspace.datasets.read(recipe.dataset)
    rows = candidate_rows(reader, recipe, None)
    queries, documents = load_texts(reader, rows, Contract())
    pairs: dict[str, list[Any]] = {"query": [], "document": [], "label": []}
    first = [0]
    for query, positive, wrong in zip(rows.queries, rows.positives, rows.negatives, strict=True):
        texts = documents.get([int(positive), *map(int, wrong)])
        pairs["query"] += queries.get([int(query)]) * len(texts)
        pairs["document"] += texts
        pairs["label"] += [1.0] + [0.0] * (len(texts) - 1)
        first.append(len(pairs["label"]))
    return CrossEncoderTrainer(
        model=model,
        args=CrossEncoderTrainingArguments(
            **_shared(recipe, folder),
            per_device_train_batch_size=recipe.batch_size * (1 + recipe.negatives),
            batch_sampler=partial(_Pairs, _batching(reader, rows, recipe), first),
        ),
        train_dataset=Dataset.from_dict(pairs),
        loss=BinaryCrossEntropyLoss(model),
    )


_PLAIN: dict[str, Callable[[Workspace, Any, Path], Any]] = {
    "embedding": plain_embedding,
    "reranker": plain_reranker,
    "late-interaction": plain_late_interaction,
}


def _model(make: Any, workspace: Workspace, recipe: Any, **options: Any) -> Any:
    """The base with the recipe's dropout and method."""
    from workbench.training.loss import set_dropout

    folder = Path(recipe.model)
    source = folder if folder.is_dir() else workspace.models.folder(recipe.model)
    if recipe.method == "qlora":
        options["model_kwargs"] = _quantized(recipe)
    model = make(str(source), device=_device(recipe), **options)
    if getattr(model.tokenizer, "pad_token", "") is None:
        model.tokenizer.pad_token = model.tokenizer.eos_token
    if recipe.dropout is not None:
        set_dropout(model, recipe.dropout)
    if recipe.method != "full":
        from peft import LoraConfig

        inner = model[0].model.requires_grad_(False)
        model.add_adapter(
            LoraConfig(
                r=recipe.lora_r,
                lora_alpha=recipe.lora_alpha,
                lora_dropout=recipe.lora_dropout,
                target_modules="all-linear",
                modules_to_save=[name for name in _FRESH if hasattr(inner, name)] or None,
            )
        )
    return model


#: A cross-encoder's head, as transformers calls it: drawn at random, so trained whole.
_FRESH = ("classifier", "score")


def _quantized(recipe: Any) -> dict[str, Any]:
    import torch
    from transformers import BitsAndBytesConfig

    heads = [*_FRESH, "pooler", "lm_head"]
    if recipe.quantization_bits == "8":
        config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=heads)
        return {"quantization_config": config}
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=recipe.quantization_type,
        bnb_4bit_use_double_quant=recipe.double_quantization,
        bnb_4bit_compute_dtype=torch.bfloat16,
        llm_int8_skip_modules=heads,
    )
    return {"quantization_config": config}


def _texts(workspace: Workspace, recipe: Any) -> tuple[dict[str, list[str]], Any]:
    """Queries, their documents and negatives, as ours reads them, and what makes its batches."""
    from workbench.models.contract import Contract
    from workbench.training.rows import build_rows, load_texts
    from workbench.training.trainer import Batches

    reader = workspace.datasets.read(recipe.dataset)
    rows = build_rows(reader, recipe)
    queries, documents = load_texts(reader, rows, Contract())
    texts = {
        "anchor": queries.get(rows.queries.tolist()),
        "positive": documents.get(rows.positives.tolist()),
    }
    for at in range(rows.negatives.shape[1]):
        texts[f"negative_{at}"] = documents.get(rows.negatives[:, at].tolist())
    return texts, partial(Batches, _batching(reader, rows, recipe))


def _batching(reader: Any, rows: Any, recipe: Any) -> Any:
    from workbench.training.epoch import batching

    return batching(reader, rows, recipe, 1)


class _Pairs:
    """Our batches of queries as batches of the pairs that they became; ``first`` is the number of
    each query's first pair, and at its end that of all pairs."""

    def __init__(self, made: Any, first: list[int], *_: Any, **__: Any) -> None:
        self.made, self.first, self.epoch = made, first, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.made.epoch(self.epoch):
            yield [at for row in batch for at in range(self.first[row], self.first[row + 1])]

    def __len__(self) -> int:
        return len(self.made)


def _device(recipe: Any) -> str:
    from workbench.models.precision import pick_device

    return pick_device(recipe.device)


def _shared(recipe: Any, folder: Path) -> dict[str, Any]:
    from workbench.models.precision import choose

    device = _device(recipe)
    return {
        "output_dir": str(folder),
        "num_train_epochs": recipe.epochs,
        "max_steps": recipe.max_steps or -1,
        "learning_rate": recipe.learning_rate,
        "warmup_steps": recipe.warmup,
        "bf16": choose(recipe.precision, device) == "bf16",
        "use_cpu": device == "cpu",
        "seed": recipe.seed,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
    }
