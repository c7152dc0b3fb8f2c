"""The cells of benchmarks/gpu.py, measured: readings of both sides as they come."""

import argparse
import gc
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.gpu import Cell, Reading, Setup, Shape, Side
from workbench.jobs.slots import patient

# As workers have it, before torch is imported.
os.environ.update(patient(os.environ), HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="true")

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from sentence_transformers import (
    SentenceTransformer,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from transformers import Qwen2Config, Qwen2Model, TrainerCallback
from transformers.trainer_utils import SaveStrategy

from benchmarks.loops import Silent
from benchmarks.shapes import made_up, save_encoder, save_words
from workbench.errors import ModelUnusable
from workbench.models.contract import Contract
from workbench.models.load import load_embedding, load_model
from workbench.models.locate import LocalModel
from workbench.models.precision import kept
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.training.batches import Batching, RowTexts
from workbench.training.callbacks import Guard, Recorder
from workbench.training.distributed import ProcessGroup
from workbench.training.loss import (
    apply_method,
    embedding_loss,
    keeping_for,
    ready_for_training,
)
from workbench.training.rows import Texts
from workbench.training.run import training_arguments
from workbench.training.trainer import Batches, Collator, EmbeddingTrainer

#: Of the logarithm of a text's tokens; cut at both ends.
MEDIAN, SPREAD, SHORTEST = 120, 0.75, 20
#: Beside a text's words: one token before it, one behind.
AROUND = 2
#: Rows of the square matrices whose product shows what the device does.
MATRIX = {"cuda": 8192, "cpu": 1024}


def serve(setup: Setup, asked: argparse.Namespace, pipe: Any) -> None:
    """For each cell asked for, its readings (None: what the device is), then None, until the pipe
    ends."""
    while True:
        try:
            at, share = pipe.recv()
        except EOFError:
            return
        if at is None:
            pipe.send(machine(asked.device))
        else:
            end = time.monotonic() + share
            alternate(Work.of(setup, setup.cells[at], asked), pipe.send, end, asked.pairs)
        pipe.send(None)


def machine(device: str) -> dict[str, Any]:
    about = {"device": "CPU", "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")}
    if device == "cuda":
        facts = torch.cuda.get_device_properties(0)
        about = {"device": facts.name, "memory": facts.total_memory}
    return {
        "at": time.strftime("%Y-%m-%d %H:%M"),
        "device": about["device"],
        "memory": about["memory"] / 1e6,
        "torch": torch.__version__,
        "tflops": matrix_rate(device),
    }


def matrix_rate(device: str) -> float:
    """TFLOP/s of a product of two square matrices in bf16, the best of some."""
    size = MATRIX[device]
    left, right = torch.randn(2, size, size, device=device).bfloat16()
    took = []
    for _ in range(13):
        wait(device)
        started = time.perf_counter()
        left @ right
        wait(device)
        took.append(time.perf_counter() - started)
    return 2 * size**3 / min(took) / 1e12


def wait(device: str) -> None:
    """Until the GPU has done all it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def alternate(work: "Work", tell: Callable[[dict[str, Any]], None], end: float, pairs: int) -> None:
    """Readings of both in turns, who is first changing, as long as another pair fits. A side that
    does not fit into memory is not tried again."""
    sides: dict[Side, Callable[[], Reading]] = {
        "ours": work.ours,
        "plain": work.plain,
    }
    longest = 0.0
    for pair in range(pairs):
        began = time.monotonic()
        if pair and began + longest > end:
            return
        for side in list(sides)[:: -1 if pair % 2 else 1]:
            try:
                tell(asdict(sides[side]()))
            except (torch.OutOfMemoryError, ModelUnusable) as error:
                if not isinstance(error.__cause__ or error, torch.OutOfMemoryError):
                    raise
                tell({"side": side, "failed": "out of memory"})
                del sides[side]
            if work.device == "cuda":
                gc.collect()
                torch.cuda.empty_cache()
        longest = max(longest, time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class Work:
    """A cell with its model's folder and its texts."""

    cell: Cell
    shape: Shape
    folder: Path
    #: Texts, and their tokens.
    texts: list[str]
    lengths: np.ndarray[Any, Any]
    steps: tuple[int, int]
    longest: int
    device: str

    @classmethod
    def of(cls, setup: Setup, cell: Cell, asked: argparse.Namespace) -> "Work":
        shape = setup.shapes[cell.shape]
        count = setup.texts if cell.work == "encoding" else 2 * cell.batch * sum(setup.steps)
        chance = random.Random(13)
        words = made_up(chance)
        lengths = drawn(count, setup.longest, cell.lengths)
        texts = [" ".join(chance.choices(words, k=int(one) - AROUND)) for one in lengths]
        folder = Path(asked.models) / cell.shape.replace(" ", "-")
        if not (folder / "tokenizer.json").is_file():
            save(folder, words, shape, setup.longest, asked.device)
        more = (setup.steps, setup.longest, asked.device)
        return cls(cell, shape, folder, texts, lengths, *more)

    @property
    def ours(self) -> Callable[[], Reading]:
        return partial(encode_ours if self.cell.work == "encoding" else train_ours, self)

    @property
    def plain(self) -> Callable[[], Reading]:
        return partial(encode_plain if self.cell.work == "encoding" else train_plain, self)

    @property
    def half(self) -> int:
        """Texts of the first column: pairs are text i and text half + i."""
        return len(self.texts) // 2

    @property
    def contract(self) -> Contract:
        decoder = "num_key_value_heads" in self.shape
        limits = {"query_max_len": self.longest, "passage_max_len": self.longest}
        return Contract(dimensions=self.shape["hidden_size"], causal=decoder, **limits)

    @property
    def local(self) -> LocalModel:
        return LocalModel(
            name=self.cell.shape,
            source=str(self.folder),
            contract=self.contract,
            layout="transformers",
            weights=self.folder,
        )

    def batching(self) -> Batching:
        return Batching(RowTexts.unrelated(self.half), self.cell.batch, least=2)

    def counted(self) -> np.ndarray[Any, Any]:
        """Tokens of each text that the counted steps read, or that is encoded."""
        if self.cell.work == "encoding":
            return self.lengths
        first, more = self.steps
        rows = np.concatenate(self.batching().epoch(0)[first : first + more])
        return self.lengths[np.concatenate([rows, rows + self.half])]

    def reading(self, side: Side, seconds: float, memory: float, note: str = "") -> Reading:
        lengths = self.counted()
        samples = len(lengths) // (1 if self.cell.work == "encoding" else 2)
        passes = {"training": 3, "LoRA": 2, "encoding": 1}[self.cell.work]
        done = passes * operations(self.shape, lengths)
        return Reading(side, seconds, samples, int(lengths.sum()), done, memory, note)


def drawn(count: int, longest: int, how: str) -> np.ndarray[Any, Any]:
    """Tokens of so many texts."""
    if how == "full":
        return np.full(count, longest)
    numbers = np.random.default_rng(13).lognormal(np.log(MEDIAN), SPREAD, count)
    return np.clip(numbers, SHORTEST, longest).astype(int)


def operations(shape: Shape, lengths: np.ndarray[Any, Any]) -> float:
    """Floating point operations of a forward pass over texts of so many tokens each."""
    width, layers, inner = (
        shape[name] for name in ("hidden_size", "num_hidden_layers", "intermediate_size")
    )
    decoder = "num_key_value_heads" in shape
    if decoder:
        shared = width * shape["num_key_value_heads"] // shape["num_attention_heads"]
        weights = layers * (2 * width * width + 2 * width * shared + 3 * width * inner)
    else:
        weights = layers * (4 * width * width + 2 * width * inner)
    looked_at = (2 if decoder else 4) * layers * width * np.square(lengths, dtype=float)
    return float(2 * weights * lengths.sum() + looked_at.sum())


def save(folder: Path, words: list[str], shape: Shape, longest: int, device: str) -> None:
    """A model of this shape, whose tokens are the words."""
    shape = {**shape, "max_position_embeddings": max(512, longest)}
    if "num_key_value_heads" not in shape:
        save_encoder(folder, words, shape, device)
        return
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2Model(Qwen2Config(**shape, pad_token_id=0))
    model.bfloat16().save_pretrained(str(folder))
    save_words(folder, words, longest)


class Memory:
    """The most memory that a reading takes."""

    def __init__(self, device: str) -> None:
        self.device = device
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def most(self) -> float:
        if self.device == "cuda":
            return torch.cuda.max_memory_allocated() / 1e6
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return held / (1e6 if sys.platform == "darwin" else 1e3)


# -- training ------------------------------------------------------------------------------------


class Clock(TrainerCallback):
    """Seconds from the end of the last warm-up step to the end of the last step."""

    def __init__(self, work: Work) -> None:
        self.device = work.device
        self.first = work.steps[0]
        self.last = sum(work.steps)
        self.began = self.seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **options: Any) -> None:
        if state.global_step not in (self.first, self.last):
            return
        wait(self.device)
        self.began, before = time.perf_counter(), self.began
        self.seconds = self.began - before


def train_ours(work: Work) -> Reading:
    """A training job's steps, with all that it writes down at each, but without a home."""
    memory, contract, local = Memory(work.device), work.contract, work.local
    recipe = TrainEmbeddingRecipe(
        dataset="words",
        model=str(work.folder),
        method="lora" if work.cell.work == "LoRA" else "full",
        batch_size=work.cell.batch,
        max_steps=sum(work.steps),
        negatives=0,
        query_max_len=work.longest,
        passage_max_len=work.longest,
    )
    keeping = keeping_for(recipe, "bf16")
    model = load_model(local, device=work.device, precision="bf16", keeping=keeping).model
    apply_method(model, recipe, local)
    ready_for_training(model, contract)
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        arguments = training_arguments(
            SentenceTransformerTrainingArguments,
            recipe,
            Path(folder),
            device=work.device,
            precision="bf16",
            group=ProcessGroup(),
            steps=recipe.max_steps,
        )
        arguments.batch_sampler = partial(Batches, work.batching())
        arguments.save_strategy = SaveStrategy.NO
        rows = np.arange(len(work.texts))
        texts = Texts(rows, pa.array(work.texts))
        silent: Any = Silent(None, Path(folder))
        clock = Clock(work)
        trainer = EmbeddingTrainer(
            model,
            contract=contract,
            dev=None,
            args=arguments,
            train_dataset=Dataset.from_dict(
                {"query": rows[: work.half], "positive": rows[work.half :]}
            ),
            loss=embedding_loss(model, contract, recipe),
            data_collator=Collator(model, texts, texts, contract),
            callbacks=[
                Recorder(silent, Guard(), Path(folder), samples_per_step=recipe.batch_size),
                clock,
            ],
        )
        trainer.train()
    return work.reading("ours", clock.seconds, memory.most())


def train_plain(work: Work) -> Reading:
    """What one writes after reading sentence-transformers' documentation."""
    memory, lora = Memory(work.device), work.cell.work == "LoRA"
    more = {"model_kwargs": {"dtype": torch.bfloat16}} if lora else {}
    model = SentenceTransformer(str(work.folder), device=work.device, **more)
    model.max_seq_length = work.longest
    if lora:
        from peft import LoraConfig, TaskType

        task = TaskType.FEATURE_EXTRACTION
        given = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "target_modules": "all-linear"}
        model.add_adapter(LoraConfig(task_type=task, **given))
    clock = Clock(work)
    with tempfile.TemporaryDirectory(prefix="run-") as folder:
        arguments = SentenceTransformerTrainingArguments(
            output_dir=folder,
            max_steps=sum(work.steps),
            per_device_train_batch_size=work.cell.batch,
            batch_sampler=partial(Batches, work.batching()),
            bf16=True,
            use_cpu=work.device == "cpu",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        half = work.half
        SentenceTransformerTrainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_dict(
                {"anchor": work.texts[:half], "positive": work.texts[half:]}
            ),
            loss=MultipleNegativesRankingLoss(model),
            callbacks=[clock],
        ).train()
    return work.reading("plain", clock.seconds, memory.most())


# -- encoding ------------------------------------------------------------------------------------


def encode_ours(work: Work) -> Reading:
    """As a job encodes, by the engine that it measures to be the fastest."""
    memory = Memory(work.device)
    home = work.folder.parent
    loaded = load_embedding(work.local, device=work.device, precision="bf16")
    loaded = loaded.with_engines(home, work.cell.shape, work.cell.shape)
    # The engine is measured now, once for all readings.
    seconds = timed(work, lambda: loaded.encode(work.texts, "document"))
    chosen = [one["engine"] for one in kept(home).values()]
    note = f"by {chosen[-1]}" if chosen else ""
    return work.reading("ours", seconds, memory.most(), note)


def encode_plain(work: Work) -> Reading:
    memory = Memory(work.device)
    kinds = {"bf16": torch.bfloat16, "fp32": torch.float32}
    model = SentenceTransformer(
        str(work.folder), device=work.device, model_kwargs={"dtype": kinds[work.cell.plain]}
    )
    model.max_seq_length = work.longest
    options = {"batch_size": work.cell.batch, "show_progress_bar": False}
    seconds = timed(work, lambda: model.encode(work.texts, normalize_embeddings=True, **options))
    return work.reading("plain", seconds, memory.most())


def timed(work: Work, encode: Callable[[], Any]) -> float:
    """Seconds of the second time."""
    encode()
    wait(work.device)
    began = time.perf_counter()
    encode()
    wait(work.device)
    return time.perf_counter() - began
