"""A small data set, workspace and job context in memory, and a tiny model in a folder."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.records import Dataset, Job, JobStatus, Model, SlotKind
from workbench.errors import JobCancelled, JobNotFound

#: Where the cells and objectives train: TEST_DEVICE=cuda TEST_PRECISION=bf16 tries a GPU.
PLACE = {
    "device": os.environ.get("TEST_DEVICE", "cpu"),
    "precision": os.environ.get("TEST_PRECISION", "fp32"),
}
#: What a tiny model gets better at in a few steps is asserted where the tests' rates were chosen.
LEARNS = PLACE == {"device": "cpu", "precision": "fp32"}
DOCUMENTS = pa.schema([(name, pa.string()) for name in ("id", "title", "text", "picture")])


class FakeReader:
    """What ``DatasetReader`` offers, over lists. ``splits`` maps a split to its queries.

    A query is (text, positives, negatives); documents are texts.
    """

    def __init__(self, splits: Mapping[str, list[tuple[str, list[str], list[str]]]]) -> None:
        self.name, self.version = "pets", 1
        self.summary: dict[str, Any] = {}
        self.manifest = self.folder = None
        texts: dict[str, int] = {}
        self._queries: list[dict[str, Any]] = []
        self._judgments: list[dict[str, int]] = []
        self._candidates: list[dict[str, int]] = []
        #: Where the candidates come from.
        self.origin = "given"
        for split, queries in splits.items():
            for query, positives, negatives in queries:
                row = len(self._queries)
                about = {"id": f"q{row}", "text": query, "prompt": None}
                self._queries.append({**about, "split": split, "row": row})
                for text in positives:
                    document = texts.setdefault(text, len(texts))
                    self._judgments.append({"query": row, "document": document, "grade": 1})
                for text in negatives:
                    document = texts.setdefault(text, len(texts))
                    self._candidates.append({"query": row, "document": document})
        rows = [{"id": f"d{at:05}", "title": "", "text": text} for text, at in texts.items()]
        self._documents = pa.Table.from_pylist(rows, schema=DOCUMENTS)

    @property
    def counts(self) -> dict[str, Any]:
        splits = {"train": 0, "dev": 0, "test": 0}
        for query in self._queries:
            splits[query["split"]] += 1
        return {
            "documents": self._documents.num_rows,
            "queries": len(self._queries),
            "judgments": len(self._judgments),
            "candidates": len(self._candidates),
            "splits": splits,
        }

    @property
    def lineage(self) -> list[dict[str, Any]]:
        return []

    def iter_documents(self, batch: int = 10_000) -> Any:
        for start in range(0, self._documents.num_rows, batch):
            yield self._documents.slice(start, batch)

    def documents_at(self, rows: Any, columns: Any = None) -> Any:
        table = self._documents.select(columns or self._documents.column_names)
        return table.take(pa.array(list(rows), pa.int64()))

    def queries(self, split: str | None = None) -> Any:
        kept = [one for one in self._queries if split in (None, one["split"])]
        names = ("id", "text", "prompt", "split")
        schema = pa.schema([(name, pa.string()) for name in names] + [("row", pa.int64())])
        return pa.Table.from_pylist(kept, schema=schema)

    def judgments(self, split: str | None = None) -> Any:
        return self._of_split(self._judgments, split, ("query", "document", "grade"))

    def candidates(self, split: str | None = None) -> Any:
        table = self._of_split(self._candidates, split, ("query", "document"))
        origin = pa.array([self.origin] * table.num_rows, pa.string())
        rank = pa.array(range(1, table.num_rows + 1), pa.int64())
        score = pa.nulls(table.num_rows, pa.float64())
        for name, column in (("origin", origin), ("rank", rank), ("score", score)):
            table = table.append_column(name, column)
        return table

    def training_rows(self, negatives: int, seed: int, split: str = "train") -> Any:
        given: dict[int, list[int]] = {}
        relevant = {(one["query"], one["document"]) for one in self._judgments}
        for one in self.candidates(split).to_pylist():
            if (one["query"], one["document"]) not in relevant:
                given.setdefault(one["query"], []).append(one["document"])
        rows = [
            {
                "query": one["query"],
                "positive": one["document"],
                "negatives": given.get(one["query"], [])[:negatives],
            }
            for one in self.judgments(split).to_pylist()
        ]
        schema = pa.schema(
            [
                ("query", pa.int64()),
                ("positive", pa.int64()),
                ("negatives", pa.list_(pa.int64())),
            ]
        )
        return pa.Table.from_pylist(rows, schema=schema)

    def _of_split(self, rows: list[dict[str, int]], split: str | None, names: Any) -> Any:
        kept = [one for one in rows if split in (None, self._queries[one["query"]]["split"])]
        return pa.Table.from_pylist(kept, schema=pa.schema([(n, pa.int64()) for n in names]))


class FakeModels:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.added: list[Model] = []

    def exists(self, name: str) -> bool:
        return any(model.name == name for model in self.added)

    def get(self, name: str) -> Model:
        return next(model for model in self.added if model.name == name)

    def list(self) -> "list[Model]":
        return self.added

    def free_name(self, wanted: str) -> str:
        return wanted if not self.exists(wanted) else f"{wanted}-2"

    def new_name(self, name: str, wanted: str = "") -> str:
        return name or self.free_name(wanted)

    def new_folder(self) -> tuple[str, Path]:
        id = f"model{len(self.added):04}"
        folder = self.home / "models" / id
        folder.mkdir(parents=True)
        return id, folder

    def add(self, model: Model) -> Model:
        self.added.append(model)
        return model


class FakeDatasets:
    """The one that is trained on, and ``others`` by name."""

    def __init__(self, reader: FakeReader) -> None:
        self.reader = reader
        self.others: dict[str, FakeReader] = {}

    def exists(self, name: str) -> bool:
        return name == self.reader.name or name in self.others

    def get(self, name: str) -> Dataset:
        return Dataset("set1", self.reader.name, 0.0, 1, {})

    def list(self) -> "list[Dataset]":
        found = [(self.reader.name, self.reader), *self.others.items()]
        return [Dataset(name, name, 0.0, 1, one.summary) for name, one in found]

    def read(self, name: str, version: int | None = None) -> FakeReader:
        return self.others.get(name, self.reader)


class FakeJobs:
    """Of runs that are not on record, but for those that are ``past``."""

    def __init__(self) -> None:
        self.past: list[Job] = []

    def recipe(self, id: str) -> Any:
        raise JobNotFound.among("job", id, ())

    def list(self, *_: Any) -> "list[Job]":
        return self.past


class FakeWorkspace:
    def __init__(self, home: Path, reader: FakeReader) -> None:
        self.home = home
        self.trust_remote_code = False
        self.models = FakeModels(home)
        self.datasets = FakeDatasets(reader)
        self.jobs = FakeJobs()

    def path(self, relative: str) -> Path:
        return self.home / relative


@dataclass
class FakeContext:
    """A job context that remembers. ``cancel_at``: the person asks to stop at that step."""

    workspace: Any
    folder: Path
    resuming: bool = False
    cancel_at: int | None = None
    cancelled: bool = False
    rows: list[tuple[int, str, dict[str, float]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def job(self) -> Job:
        empty: dict[str, Any] = dict.fromkeys(Job.__dataclass_fields__)
        running = {"status": JobStatus.RUNNING, "slot_kind": SlotKind.TRAIN, "references": {}}
        return Job(**{**empty, "id": "job00001", "task": "train-embedding", **running})

    def progress(
        self, done: float, total: float | None = None, unit: str = "", message: str = ""
    ) -> None:
        self.messages.append(message)
        if unit == "steps" and self.cancel_at is not None and done >= self.cancel_at:
            self.cancelled = True

    def metrics(self, step: int, kind: str, values: Mapping[str, float]) -> None:
        self.rows.append((step, kind, dict(values)))

    def forget_metrics_after(self, step: int) -> None:
        self.rows = [row for row in self.rows if row[0] <= step]

    def flush(self) -> None: ...

    def check_cancelled(self) -> None:
        if self.cancelled:
            raise JobCancelled("Stopped.")

    def note(self, message: str) -> None:
        self.notes.append(message)

    def of(self, kind: str) -> list[tuple[int, dict[str, float]]]:
        return [(step, values) for step, found, values in self.rows if found == kind]


def animals_job(home: Path, train: int = 96, dev: int = 24, **more: Any) -> FakeContext:
    """A job's context in this home, whose data set holds the animals."""
    workspace = FakeWorkspace(home, FakeReader(animal_splits(train, dev)))
    return FakeContext(workspace, home / "jobs" / "job", **more)


ANIMALS = [
    "cat",
    "dog",
    "cow",
    "hen",
    "fox",
    "owl",
    "bee",
    "ant",
    "elk",
    "yak",
    "emu",
    "eel",
    "bat",
    "rat",
    "pig",
    "ram",
]
TRAITS = [
    "red",
    "old",
    "big",
    "shy",
    "sad",
    "mad",
    "hot",
    "icy",
    "wet",
    "dry",
    "new",
    "odd",
    "raw",
    "low",
]


def animal_splits(train: int = 96, dev: int = 24) -> dict[str, list[Any]]:
    """Queries 'which TRAIT ANIMAL' whose document says the same in other words."""
    pairs = [(animal, trait) for trait in TRAITS for animal in ANIMALS]
    rows = [
        (
            f"which {animal} {trait}",
            [f"here is {trait} {animal} number {at % 7}"],
            [f"here is {trait} {ANIMALS[(ANIMALS.index(animal) + 3) % len(ANIMALS)]} today"],
        )
        for at, (animal, trait) in enumerate(pairs)
    ]
    # Interleaved, so that dev has all animals and traits.
    step = len(rows) // dev if dev else len(rows) + 1
    chosen = set(range(0, step * dev, step)) if dev else set()
    found = [row for at, row in enumerate(rows) if at in chosen]
    rest = [row for at, row in enumerate(rows) if at not in chosen]
    return {"train": rest[:train], "dev": found} if dev else {"train": rest[:train]}


def told_by_a_word(right: str, wrong: str, train: int = 64, dev: int = 16) -> dict[str, list[Any]]:
    """Queries whose words stand in five documents each; the one that ends in ``right`` is relevant.

    One word tells right from wrong, which a reranker with random weights learns in a few steps; the
    words that queries and documents share, it does not.
    """
    pairs = [(animal, trait) for trait in TRAITS for animal in ANIMALS][: train + dev]
    rows = [
        (
            f"which {trait} {animal}",
            [f"here is {trait} {animal} {right} {at % 10}"],
            [f"here is {trait} {animal} {wrong} {(at + n) % 10}" for n in range(4)],
        )
        for at, (animal, trait) in enumerate(pairs)
    ]
    step = len(rows) // dev
    return {
        "train": [row for at, row in enumerate(rows) if at % step],
        "dev": [row for at, row in enumerate(rows) if at % step == 0],
    }


def animal_tokenizer() -> Any:
    """A tokenizer whose vocabulary is the words of ``animal_splits``."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words += ["which", "here", "is", "number", "today", "find", "query", "passage", ":"]
    words += [str(n) for n in range(10)] + [*ANIMALS, *TRAITS]
    tokenizer = Tokenizer(models.WordLevel({w: at for at, w in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ends
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=64,
    )


def decoder_tokenizer() -> Any:
    """Bytes and merges, as Qwen and Mistral have it: every word of ``animal_splits`` is a token,
    and so are the answers yes and no."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    words = ["which", "here", "is", "number", "today", "yes", "no", *ANIMALS, *TRAITS]
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=["<|endoftext|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    spaced = [f"{word} {word}" for word in words for _ in range(9)]
    tokenizer.train_from_iterator(spaced, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        model_max_length=128,
    )


def save_tiny_model(folder: Path, *, pooling: str = "mean", seed: int = 0) -> Path:
    """A BERT of two layers with random weights, over the words of ``animal_splits``."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel

    fast = animal_tokenizer()
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(fast),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    plain = folder.with_name(folder.name + "-plain")
    BertModel(config).save_pretrained(str(plain))
    fast.save_pretrained(str(plain))
    modules = [Transformer(str(plain)), Pooling(32, pooling), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder))
    return folder


def save_decoder(folder: Path, family: str, *, answers: bool = False, seed: int = 0) -> Path:
    """A decoder of two layers with random weights: 'qwen2', 'qwen3' or 'mistral'.

    ``answers``: with its output layer, as a language model that can be asked for yes or no.
    """
    import torch
    import transformers

    fast = decoder_tokenizer()
    torch.manual_seed(seed)
    name = family.capitalize()
    config = getattr(transformers, f"{name}Config")(
        vocab_size=len(fast),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=128,
    )
    shape = f"{name}ForCausalLM" if answers else f"{name}Model"
    getattr(transformers, shape)(config).save_pretrained(str(folder))
    fast.save_pretrained(str(folder))
    return folder


def save_late(folder: Path, *, layout: str, seed: int = 0) -> Path:
    """A BERT with a projection to 16 dimensions per token of its own: as 'stanford' ColBERT
    checkpoints keep it (``linear.weight`` among the weights), or as bge-'m3' does: a file beside a
    sentence-transformers folder, or, 'm3-plain', beside a checkpoint without pooling."""
    import json

    import torch
    from safetensors.torch import load_file, save_file

    whole = save_tiny_model(folder.with_name(f"{folder.name}-st"), pooling="cls", seed=seed)
    plain = whole.with_name(f"{whole.name}-plain")
    (whole if layout == "m3" else plain).rename(folder)
    head = torch.nn.Linear(32, 16, bias=layout.startswith("m3"))
    if layout.startswith("m3"):
        torch.save(head.state_dict(), folder / "colbert_linear.pt")
        return folder
    weights = load_file(folder / "model.safetensors")
    weights = {f"bert.{name}": value for name, value in weights.items()}
    about = {"format": "pt"}
    save_file(
        {**weights, "linear.weight": head.weight.data}, folder / "model.safetensors", metadata=about
    )
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["HF_ColBERT"]
    (folder / "config.json").write_text(json.dumps(config))
    return folder
