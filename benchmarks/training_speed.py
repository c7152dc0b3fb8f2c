"""Steps of our training against those of plain sentence-transformers scripts.

    python benchmarks/training_speed.py --out ROWS.json                pairs by chance, real lengths
    python benchmarks/training_speed.py --data FOLDER --steps 7        anything that imports
    python benchmarks/training_speed.py --groups embedding full        some of the rows

Same model, rows, batches and lengths on both sides; trainers stand side by side in one process and
take a step each in turns, in one order and then in the other. A step is all from the end of the one
before it: making the batch, and with ours what is written down at each. Seconds by the clock, and
of processor time, which other work on the machine moves less. 'As it comes' is with the base's
dropout.

The share of the machine's matrix rate: real tokens' operations by the seconds that the step took,
over the rate of large bf16 products in the same run. Operations of a step: 6 for each weight of a
linear layer and token (2 forward, 4 backward), and 12 x layers x width x length^2 for each text's
attention. Padding, dropout, norms and the optimizer count nothing.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workbench.jobs.slots import patient

# As workers have it, before torch is imported; both sides alike.
os.environ.update(patient(os.environ))

from benchmarks.loops import WARM_UP, Steps, in_turns, our_trainer, plain_trainer, times
from benchmarks.shapes import write_mixed
from benchmarks.sides import Row, spent, table, write_rows
from workbench.jobs.supervisor import Supervisor
from workbench.models.precision import choose
from workbench.recipes.data import ImportRecipe
from workbench.recipes.train import KINDS
from workbench.workspace import Workspace

#: Pairs that are made where no data is given.
MADE = 1500
#: The losses of both sides' first steps may be so far apart.
LOSS, APART = "loss of the first step", 1e-4


@dataclass(frozen=True)
class Against:
    """A row: ours with some changes to the recipe, and plain with some.

    ``name``: with {} for the number format that is chosen here.
    """

    name: str
    ours: dict[str, Any]
    plain: dict[str, Any]


@dataclass(frozen=True)
class Group:
    """What is measured side by side."""

    kind: str
    rows: tuple[Against, ...]
    #: Documents are filled with the next ones' words, so that none is padded.
    full: bool = False
    #: The first steps' losses are compared, too.
    equal: bool = False


NONE, FP32 = {"dropout": 0.0}, {"precision": "fp32"}
GROUPS = {
    "embedding": Group(
        "embedding",
        (
            Against("both in {}", {}, {}),
            Against("ours in {} without dropout, plain in {}", NONE, {}),
            Against("both in {} without dropout", NONE, NONE),
            Against("ours in {}, plain in fp32", {}, FP32),
            Against("ours in {} without dropout, plain in fp32", NONE, FP32),
            Against("both in fp32", FP32, FP32),
        ),
        equal=True,
    ),
    "full": Group(
        "embedding", (Against("every document fills its length, both in {}", {}, {}),), full=True
    ),
    "late-interaction": Group("late-interaction", (Against("both in {}", {}, {}),)),
    "reranker": Group("reranker", (Against("both in {}", {}, {}),)),
}


def main() -> None:
    asked = read_arguments()
    home = Path(tempfile.mkdtemp(prefix="training-speed-"))
    rows: list[Row] = []
    try:
        workspace = Workspace.open(home)
        name = imported(workspace, asked.data or made(home / "made.jsonl"), "measured")
        for group in map(GROUPS.__getitem__, asked.groups):
            data = name
            if group.full:
                data = imported(workspace, filled(workspace, name, home, asked.length), "full")
            found = measured(workspace, group, data, asked)
            print(table(found), flush=True)
            rows += found
        write_rows(asked.out, rows)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for row in rows:
        if row.name.endswith(LOSS) and abs(row.ours[0] - row.theirs[0]) > APART:
            raise SystemExit(f"Not equal: {row}")


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--data", type=Path, help="a file or folder to import and train on")
    parser.add_argument("--steps", type=int, default=7, help="counted ones of each trainer")
    parser.add_argument("--batch", type=int, default=32, help="pairs; of a reranker, queries: / 4")
    parser.add_argument("--length", type=int, default=256, help="of a document, in tokens")
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    return parser.parse_args()


def imported(workspace: Workspace, path: Path, name: str) -> str:
    job = workspace.jobs.submit(ImportRecipe(paths=[str(path.resolve())], name=name))
    Supervisor(workspace).run_until(job.id, lambda job: None)
    return name


def made(path: Path) -> Path:
    write_mixed(path, MADE)
    return path


def filled(workspace: Workspace, name: str, home: Path, length: int) -> Path:
    """The training pairs, each document followed by the next ones up to ``length`` words."""
    reader = workspace.datasets.read(name)
    table = reader.training_rows(negatives=0, seed=0)
    by_row = reader.queries("train").sort_by("row")
    texts = dict(zip(by_row["row"].to_pylist(), by_row["text"].to_pylist(), strict=True))
    every = reader.documents_at(range(reader.counts["documents"]))["text"].to_pylist()
    path = home / "full.jsonl"
    with path.open("w") as file:
        for query, right in zip(
            table["query"].to_pylist(), table["positive"].to_pylist(), strict=True
        ):
            words, at = every[right].split(), right
            while len(words) < length:
                at = (at + 1) % len(every)
                words += every[at].split()
            pair = {"query": texts[query], "pos": [" ".join(words[:length])], "neg": []}
            file.write(json.dumps(pair) + "\n")
    return path


# -- one group -----------------------------------------------------------------------------------


def recipe_of(workspace: Workspace, kind: str, dataset: str, asked: Any) -> Any:
    shared: dict[str, Any] = {
        "dataset": dataset,
        "model": workspace.models.ensure_packaged().name,
        "device": "cpu",
        "max_steps": asked.steps + WARM_UP,
    }
    if kind == "reranker":
        # Pairs are as long as the documents of the other kinds.
        lengths = {"query_max_len": asked.length // 8, "passage_max_len": asked.length * 7 // 8}
        size = max(1, asked.batch // 4)
        mined = {"negatives": 4, "first_stage": "bm25"}
        return KINDS[kind](**shared, **lengths, **mined, batch_size=size)
    # One length for both: the plain script knows no other way.
    lengths = {"query_max_len": asked.length, "passage_max_len": asked.length}
    return KINDS[kind](**shared, **lengths, batch_size=asked.batch, negatives=0)


def measured(workspace: Workspace, group: Group, dataset: str, asked: Any) -> list[Row]:
    """The rows of a group."""
    recipe = recipe_of(workspace, group.kind, dataset, asked)
    trainers: dict[str, Any] = {}

    def trainer(side: str, changes: dict[str, Any]) -> str:
        name = f"{side} {changes}"
        folder = workspace.path("trained") / str(len(trainers))
        make = our_trainer if side == "ours" else plain_trainer
        trainers[name] = partial(make, workspace, recipe.model_copy(update=changes), folder)
        return name

    sides = [(trainer("ours", row.ours), trainer("plain", row.plain)) for row in group.rows]
    before = matrix_rate()
    found = in_turns(trainers, asked.steps)
    rate = max(before, matrix_rate())
    about = f"{group.kind}, {asked.length} tokens, "
    names = [about + row.name.replace("{}", choose("auto", "cpu")) for row in group.rows]
    rows: list[Row] = []
    for name, (ours, plain) in zip(names, sides, strict=True):
        rows += times(name, found[ours], found[plain])
    ours, plain = sides[0]
    rows.append(shares(names[0], found[ours], found[plain], rate))
    if group.equal:
        rows.append(first_losses(workspace, recipe, about))
    return rows


def matrix_rate() -> float:
    """Operations a second of processor time in large bf16 products: the best of five."""
    import torch

    size = 2048
    left, right = torch.randn(2, size, size).bfloat16()
    took = [spent(lambda: left @ right).cpu for _ in range(6)][1:]
    return 2 * size**3 / min(took)


def shares(name: str, ours: Steps, plain: Steps, rate: float) -> Row:
    """What part of the matrix rate each step of both had; both read the same tokens."""
    needed = [ours.operations(*read) for read in ours.read]
    mine, theirs = (
        [100 * work / one.cpu / rate for work, one in zip(needed, side.spent, strict=True)]
        for side in (ours, plain)
    )
    note = f"of {rate / 1e9:.0f} billion operations a second of processor time"
    return Row(f"{name}; share of the bf16 matrix rate", "%", "more", mine, theirs, note)


def first_losses(workspace: Workspace, recipe: Any, about: str) -> Row:
    """Of the same batch on both sides, in fp32 without dropout."""
    exact = recipe.model_copy(update={**FP32, **NONE, "max_steps": WARM_UP})
    makes = {"ours": our_trainer, "plain": plain_trainer}
    found = in_turns(
        {
            side: partial(make, workspace, exact, workspace.path("first") / side)
            for side, make in makes.items()
        },
        0,
    )
    ours, plain = (found[side].losses[0] for side in makes)
    note = f"fp32, dropout 0; {abs(ours - plain):.1e} apart"
    return Row(f"{about}{LOSS}", "", "less", [ours], [plain], note)


if __name__ == "__main__":
    main()
