"""What a run stands on: its data and model looked up, and the memory that any recipe would take
there.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.checks.memory_estimate import Batch, Shape, estimate, read_shape
from workbench.checks.report import Lengths, Memory, gigabytes
from workbench.data.reader import DatasetReader
from workbench.evaluation.texts import join_documents
from workbench.jobs import runner
from workbench.jobs.slots import gpus
from workbench.models.contract import Contract
from workbench.models.precision import cpu_multiplies_bf16
from workbench.models.resolve import ResolvedModel, resolve
from workbench.prepare import prepare
from workbench.recipes.base import how_many
from workbench.recipes.evaluate import MeasureRecipe
from workbench.recipes.objectives import OBJECTIVES
from workbench.recipes.train import TrainRecipe
from workbench.training.rows import training_table
from workbench.workspace import Workspace

# How long the texts of a training split are, in tokens of the model's own tokenizer.

#: Texts of each role that are looked at.
SAMPLE = 1000


def sample_texts(
    reader: DatasetReader, table: Any, contract: Contract, seed: int
) -> tuple[list[str], list[str]]:
    """Up to :data:`SAMPLE` queries and documents of the training rows, chosen by the seed.

    ``table`` has the columns query, positive and negatives (lists), as row numbers.
    """
    random = np.random.default_rng(seed)
    chosen = random.permutation(table.num_rows)[:SAMPLE]
    picked = table.take(np.sort(chosen))
    queries = reader.queries("train")
    first = queries["row"][0].as_py()
    texts = queries["text"].take(picked["query"].to_numpy() - first).to_pylist()
    documents = picked["positive"].to_pylist()
    documents += [row for rows in picked["negatives"].to_pylist() for row in rows or []]
    rows = np.unique(np.asarray(documents, np.int64))
    rows = np.sort(random.permutation(rows)[:SAMPLE])
    joined = join_documents(reader.documents_at(rows.tolist()), contract).to_pylist()
    return texts, joined


def lengths(
    tokenizer: Path, role: str, texts: Sequence[str], prompt: str, limit: int
) -> tuple[Lengths, list[int]]:
    """What the texts of a role come to, and each one's tokens after cutting."""
    from tokenizers import Tokenizer

    reader = Tokenizer.from_file(str(tokenizer))
    # The file may bring its own cut and padding.
    reader.no_truncation()
    reader.no_padding()
    encoded = reader.encode_batch([prompt + text for text in texts])
    counts = np.array([len(one.ids) for one in encoded] or [0])
    cut = np.minimum(counts, limit)
    about = Lengths(
        role=role,
        limit=limit,
        sampled=len(texts),
        mean=float(cut.mean()),
        p95=int(np.percentile(counts, 95)),
        longest=int(cut.max()),
        cut=float((counts > limit).mean()),
    )
    return about, cut.tolist()


# What this machine has, asked without torch.


def has_gpu(device: str) -> bool:
    """Whether a run with this recipe's ``device`` would use a GPU."""
    return device != "cpu" and bool(gpus())


def free_memory(gpu: bool) -> int | None:
    """Bytes free where the run would be: of the first GPU, or of the machine."""
    if not gpu:
        return runner.free_memory()
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        # nvidia-smi's MiB.
        return int(answer.stdout.split()[0]) << 20
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None  # A driver that does not say: the check goes without.


#: Of the queries and of the documents; of the left and of the right ones where pairs are learned.
Texts = tuple[list[str], list[str]]


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run's memory follows from, besides its recipe."""

    #: None where the model's files do not say.
    shape: Shape | None
    rows: int
    #: Negatives of each row.
    width: int
    #: Tokens of the longest query and document of the sample, cut as the recipe cuts them.
    longest: tuple[int, int] | None
    gpu: bool

    def memory(self, recipe: TrainRecipe) -> Memory | None:
        """An estimate for this recipe, whose texts are no longer than those looked at; none for
        pictures, whose size no text tells: measured steps do."""
        if self.shape is None or self.longest is None or recipe.model_kind.reads_pictures:
            return None
        query = min(self.longest[0], recipe.query_max_len)
        document = min(self.longest[1], recipe.passage_max_len)
        return estimate(
            self.shape,
            recipe,
            padded(recipe, self.width, self.rows, query, document),
            precision=precision(recipe, self.gpu),
            gpu=self.gpu,
        )


@dataclass(frozen=True, slots=True)
class Looked:
    """A recipe with what its names stand for."""

    recipe: TrainRecipe
    reader: DatasetReader
    #: For each row, how many negatives the data gives (at most those asked for).
    given: list[int]
    model: ResolvedModel
    contract: Contract
    lengths: list[Lengths]
    facts: RunFacts


def look(workspace: Workspace, recipe: TrainRecipe, gpu: bool | None = None) -> Looked:
    """Look a run up, without torch; raises what submitting it would raise.

    ``gpu`` says whether there is one (asked of the machine by default).
    """
    recipe = prepare(recipe, workspace)
    reader = workspace.datasets.read(recipe.dataset, recipe.dataset_version)
    model = resolve(workspace, recipe.model, recipe.kind)
    base = model.base or model
    shape = read_shape(Path(base.source)) if base.local else None
    contract = _contract(model, recipe)
    rows, given, texts = _learned(reader, recipe, contract)
    measured = _lengths(texts, contract, recipe, shape)
    asked = int(getattr(recipe, "negatives", 0))
    # Rerankers find what the data does not bring.
    width = asked if recipe.model_kind.reads_pairs else min(asked, max(given, default=0))
    facts = RunFacts(
        shape=shape,
        rows=rows,
        width=width,
        longest=(measured[0].longest, measured[1].longest) if measured else None,
        gpu=has_gpu(recipe.device) if gpu is None else gpu and recipe.device != "cpu",
    )
    return Looked(recipe, reader, given, model, contract, measured, facts)


def padded(recipe: TrainRecipe, width: int, rows: int, query: int, document: int) -> Batch:
    """The texts that are in memory at once, each as long as the longest.

    A cached objective keeps no more than its mini-batch.
    """
    batch = min(recipe.batch_size, rows)
    if recipe.model_kind.reads_pairs:
        return [(batch * (1 + width), query + document)]
    if is_cached(recipe):
        return [(min(int(getattr(recipe, "mini_batch_size", batch)), batch), max(query, document))]
    return [(batch, query), (batch * (1 + width), document)]


def is_cached(recipe: TrainRecipe) -> bool:
    """Whether the batch is computed in parts; not where a query sees its own candidates only."""
    return recipe.chosen_objective.in_parts and recipe.in_batch


def precision(recipe: TrainRecipe, gpu: bool) -> str:
    """The number format of the computation; 'auto' is bf16 where the machine is fast at it."""
    if recipe.precision == "auto":
        return "bf16" if gpu or cpu_multiplies_bf16() else "fp32"
    return recipe.precision


def _contract(model: ResolvedModel, recipe: TrainRecipe) -> Contract:
    """The contract the run would begin with: the model's, and the recipe's prompts."""
    known = model.contract or Contract()
    typed = {name: getattr(recipe, name, None) for name in ("query_prompt", "document_prompt")}
    return known.model_copy(update={name: text for name, text in typed.items() if text is not None})


def _learned(
    reader: DatasetReader, recipe: TrainRecipe, contract: Contract
) -> tuple[int, list[int], Texts]:
    """How many rows are trained on, the negatives that each brings, and some of their texts."""
    if recipe.on_pairs:
        pairs = reader.pairs("train")
        order = np.random.default_rng(recipe.seed).permutation(pairs.num_rows)
        some = pairs.take(np.sort(order[:SAMPLE]))
        texts = some["left"].to_pylist(), some["right"].to_pylist()
        return min(pairs.num_rows, recipe.max_rows or pairs.num_rows), [], texts
    table, _ = training_table(reader, recipe, int(getattr(recipe, "negatives", 0)))
    given = [len(own or []) for own in table["negatives"].to_pylist()]
    return table.num_rows, given, sample_texts(reader, table, contract, recipe.seed)


def _lengths(
    texts: Texts, contract: Contract, recipe: TrainRecipe, shape: Shape | None
) -> list[Lengths]:
    """Of queries and of documents; none where there is no tokenizer to count with."""
    if shape is None or shape.tokenizer is None:
        return []
    prompts = (contract.query_prompt, contract.document_prompt)
    # As training would cut: never more than the model has positions.
    most = shape.positions or 2**31
    limits = (min(recipe.query_max_len, most), min(recipe.passage_max_len, most))
    return [
        lengths(shape.tokenizer, role, own, prompt, limit)[0]
        for role, own, prompt, limit in zip(
            ("query", "document"), texts, prompts, limits, strict=True
        )
    ]


# Which objectives a data set's rows can be learned with.


def objectives(reader: DatasetReader, choices: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``choices`` that the data holds rows for; all of them where it holds none."""
    pairs = bool(reader.summary.get("pair_splits", {}).get("train"))
    queries = bool(reader.counts["splits"].get("train"))
    needs = {name: OBJECTIVES.get(name).rows for name in choices}
    there = {"pairs": pairs, "queries": queries}
    there["teacher"] = queries and "teacher" in needs.values() and has_scores(reader)
    return tuple(name for name in choices if there[needs[name]]) or choices


def has_scores(reader: DatasetReader) -> bool:
    """Whether some training query's documents bring a teacher's score."""
    scores = reader.candidates("train")["score"]
    return bool(len(scores) > scores.null_count)


# Checks a measured check's recipe when it is submitted.


def prepare_measure(
    recipe: MeasureRecipe, workspace: Workspace, waits: bool = False
) -> MeasureRecipe:
    """The run's names looked up as for training; raises what training it would raise."""
    training = prepare(recipe.training(), workspace, waits)
    present = () if training.device == "cpu" else gpus()
    # The worker that measures sees its own device alone.
    devices = str(how_many(training.devices, present))
    return MeasureRecipe.of(training.model_copy(update={"devices": devices}), recipe.steps)


# What a measured check found, as lines for people. The task itself is ``training/measure.py``.


def lines(measured: Mapping[str, Any]) -> str:
    """The result of a 'measure' job."""
    return "\n".join([_time(measured), _memory(measured), _whole(measured), *measured["notes"]])


def _time(found: Mapping[str, Any]) -> str:
    return (
        f"measured over {found['steps']} steps on {found['device']} in {found['precision']}: "
        f"{found['samples_per_second']:.1f} samples/s, {found['seconds_per_step']:.2f} s a step "
        f"(the first took {found['first_step_seconds']:.2f} s)"
    )


def _memory(found: Mapping[str, Any]) -> str:
    said = f"measured memory, the most: {gigabytes(found['peak_memory'])}"
    if found["device"] == "cpu":
        said += f", of which {gigabytes(found['memory_before'])} are Python and its libraries"
    elif found["reserved_memory"]:
        said += f" ({gigabytes(found['reserved_memory'])} held from the driver)"
    if found["estimated_memory"] is not None:
        said += f"; the estimate for the model and a batch: {gigabytes(found['estimated_memory'])}"
    return said


def _whole(found: Mapping[str, Any]) -> str:
    said = f"expected: {clock(found['expected_seconds'])} for {found['total_steps']:,} steps"
    if found["dev_evaluations"]:
        said += f", without its {found['dev_evaluations']} evaluations on dev"
    return said


def clock(seconds: float) -> str:
    """'1:02:03', or '2:03' below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
