"""What models learn in an epoch: ours and the plain sentence-transformers script's, seed by seed.

    python benchmarks/training_quality.py --data FOLDER FOLDER FOLDER --out ROWS.json

The same rows, batches, lengths and rates on both sides, each with its own dropout. Both models are
measured in one way: MAP over the documents of the test queries and as many others as fit below
``--documents``. Without ``--data``, the packaged sample. Where seeds differ more than the sides do,
the sides cannot be told apart.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workbench.jobs.slots import patient

# As workers have it, before torch is imported; both sides alike.
os.environ.update(patient(os.environ))

import numpy as np
import pyarrow.compute as pc

from benchmarks.loops import our_trainer, plain_trainer
from benchmarks.shapes import write_rows as write_made
from benchmarks.sides import Row, table, write_rows
from workbench.jobs.supervisor import Supervisor
from workbench.recipes.data import ImportRecipe, SampleRecipe
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.workspace import Workspace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", default=[])
    parser.add_argument("--made", type=int, help="so many made pairs instead, to try it")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=2000, help="of an epoch, at most")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--queries", type=int, default=500, help="of the test, at most")
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="training-quality-"))
    try:
        workspace = Workspace.open(home)
        rows = []
        for name in imported(workspace, asked.data, asked.made):
            rows.append(measured(workspace, name, asked))
            print(table(rows[-1:]), flush=True)
        write_rows(asked.out, rows)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def imported(workspace: Workspace, folders: list[Path], made: int | None) -> list[str]:
    """The names of what these folders hold, else of so many made pairs, else of the sample."""
    if made:
        folders = [workspace.path("made/pairs")]
        folders[0].mkdir(parents=True)
        write_made(folders[0] / "pairs.jsonl", rows=made, query=8, passage=12, negatives=0)
    names = [f"{path.parent.name}-{path.name}" for path in folders]
    recipes: list[Any] = [
        ImportRecipe(paths=[str(path.resolve())], name=name, pieces="none")
        for path, name in zip(folders, names, strict=True)
    ]
    for recipe in recipes or [SampleRecipe()]:
        job = workspace.jobs.submit(recipe)
        Supervisor(workspace).run_until(job.id, lambda job: None)
    return names or ["stdlib-code"]


def measured(workspace: Workspace, dataset: str, asked: Any) -> Row:
    """MAP of both sides, seed by seed."""
    test = Test(workspace.datasets.read(dataset), asked.queries, asked.documents)
    found: dict[Any, list[float]] = {our_trainer: [], plain_trainer: []}
    untrained = 0.0
    for seed in range(asked.seeds):
        recipe = TrainEmbeddingRecipe(
            dataset=dataset,
            model=workspace.models.ensure_packaged().name,
            device="cpu",
            epochs=1.0,
            max_rows=asked.rows,
            negatives=0,
            batch_size=asked.batch,
            query_max_len=asked.length,
            passage_max_len=asked.length,
            seed=seed,
        )
        for make, values in found.items():
            trainer = make(workspace, recipe, workspace.path("trained") / f"{dataset}-{seed}")
            untrained = untrained or test.map_of(trainer.model)
            trainer.train()
            values.append(test.map_of(trainer.model))
    ours, plain = found.values()
    apart = abs(statistics.mean(ours) - statistics.mean(plain))
    spread = max(max(one) - min(one) for one in (ours, plain))
    note = f"{untrained:.4f} before; means {apart:.4f} apart, seeds {spread:.4f}"
    return Row(f"{dataset}, MAP after an epoch", "", "more", ours, plain, note)


class Test:
    """Some test queries, their relevant documents and others."""

    def __init__(self, reader: Any, queries: int, documents: int) -> None:
        chance = np.random.default_rng(0)
        asked = reader.queries("test")
        chosen = chance.permutation(asked.num_rows)[:queries]
        rows = asked["row"].to_numpy()[chosen]
        self.queries = asked["text"].take(chosen).to_pylist()
        judged = reader.judgments("test")
        judged = judged.filter(pc.greater(judged["grade"], 0))
        kept = np.isin(judged["query"].to_numpy(), rows)
        at, right = judged["query"].to_numpy()[kept], judged["document"].to_numpy()[kept]
        others = chance.permutation(reader.counts["documents"])
        pool = np.unique(np.concatenate([right, others[: max(0, documents - len(set(right)))]]))
        self.documents = reader.documents_at(pool)["text"].to_pylist()
        place = {int(row): number for number, row in enumerate(rows)}
        self.relevant = np.zeros((len(rows), len(pool)), bool)
        self.relevant[[place[int(one)] for one in at], np.searchsorted(pool, right)] = True

    def map_of(self, model: Any) -> float:
        """Of cosines, in which every document has its place."""
        mode = model.training
        asked, found = (
            model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
            for texts in (self.queries, self.documents)
        )
        model.train(mode)
        order = np.argsort(-(asked @ found.T), axis=1, kind="stable")
        hits = np.take_along_axis(self.relevant, order, axis=1)
        precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
        return float(np.mean((precision * hits).sum(axis=1) / hits.sum(axis=1)))


if __name__ == "__main__":
    main()
