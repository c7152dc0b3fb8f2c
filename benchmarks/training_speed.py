"""Steps of our training against a plain sentence-transformers script.

    python benchmarks/training_speed.py [--data FOLDER] [--kind reranker] [--dropout 0] ...

Same model, same rows, same batch, same length, same number format, in one process, in turns and in
both orders (ours, plain; plain, ours; ...). Counted is the step loop from the end of the first step
to the end of the last, with all that we write down at each step, without evaluating and saving:
by the clock, and in seconds of CPU, which other work on the machine moves less. The last lines have
the median of the pairs' ratios, plain by ours, and their spread.

``--data`` is anything that imports as a data set; without it the packaged sample is trained on.
``--full`` fills each document with the next ones' words, so that none is padded.
"""

import argparse
import json
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

from benchmarks.loops import (
    WARM_UP,
    each,
    ours,
    plain_embedding,
    plain_late_interaction,
    plain_reranker,
)
from workbench.jobs.supervisor import Supervisor
from workbench.recipes.data import ImportRecipe, SampleRecipe
from workbench.recipes.train import KINDS
from workbench.workspace import Workspace

PLAIN: dict[str, Any] = {
    "embedding": plain_embedding,
    "reranker": plain_reranker,
    "late-interaction": plain_late_interaction,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=list(PLAIN), default="embedding")
    parser.add_argument("--data", type=Path, help="a file or folder to import and train on")
    parser.add_argument("--full", action="store_true", help="documents that fill their length")
    parser.add_argument("--steps", type=int, default=3, help="counted ones of each run")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--length", type=int, default=256, help="of a document, in tokens")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    parser.add_argument("--dropout", type=float, default=None, help="the model's own, if not given")
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="training-speed-"))
    try:
        measure(home, asked)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def make_recipe(workspace: Workspace, dataset: str, asked: argparse.Namespace) -> Any:
    shared = {
        "dataset": dataset,
        "model": workspace.models.ensure_packaged().name,
        "max_steps": asked.steps + WARM_UP,
        "precision": asked.precision,
        "dropout": asked.dropout,
    }
    if asked.kind == "reranker":
        lengths = {"query_max_len": 32, "passage_max_len": asked.length - 32}
        shared |= {"batch_size": asked.batch or 8, "negatives": 4, "first_stage": "bm25"}
        return KINDS[asked.kind](**shared, **lengths)
    # One length for both: the plain script knows no other way.
    lengths = {"query_max_len": asked.length, "passage_max_len": asked.length}
    shared |= {"batch_size": asked.batch or 32, "negatives": 0}
    return KINDS[asked.kind](**shared, **lengths)


def dataset_of(workspace: Workspace, asked: argparse.Namespace, home: Path) -> str:
    """The name of the data set that is trained on, imported."""
    recipe: Any = SampleRecipe()
    if asked.data:
        recipe = ImportRecipe(paths=[str(asked.data.resolve())], name="measured")
    done(workspace, recipe)
    name = "measured" if asked.data else "stdlib-code"
    if not asked.full:
        return name
    path = home / "full.jsonl"
    filled(workspace, name, path, asked.length)
    done(workspace, ImportRecipe(paths=[str(path)], name="full"))
    return "full"


def done(workspace: Workspace, recipe: Any) -> None:
    job = workspace.jobs.submit(recipe)
    Supervisor(workspace).run_until(job.id, lambda job: None)


def filled(workspace: Workspace, name: str, path: Path, length: int) -> None:
    """The training pairs, each document followed by the next ones up to ``length`` words."""
    reader = workspace.datasets.read(name)
    table = reader.training_rows(negatives=0, seed=0)
    by_row = reader.queries("train").sort_by("row")
    texts = dict(zip(by_row["row"].to_pylist(), by_row["text"].to_pylist(), strict=True))
    every = reader.documents_at(range(reader.counts["documents"]))["text"].to_pylist()
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


def measure(home: Path, asked: argparse.Namespace) -> None:
    workspace = Workspace.open(home)
    recipe = make_recipe(workspace, dataset_of(workspace, asked, home), asked)
    arms: list[tuple[str, Any]] = [("ours", ours), ("plain", PLAIN[asked.kind])]
    clock, cpu = [], []
    for turn in range(asked.pairs):
        found = {}
        for name, arm in arms if turn % 2 == 0 else arms[::-1]:
            found[name] = each(arm(workspace, recipe, home / f"{name}-{turn}"))
        mine, plain = found["ours"], found["plain"]
        clock.append(plain[0] / mine[0])
        cpu.append(plain[1] / mine[1])
        print(
            f"pair {turn + 1}: ours {mine[0]:.2f} s a step ({mine[1]:.2f} of CPU), plain "
            f"{plain[0]:.2f} s ({plain[1]:.2f}); ratio {clock[-1]:.3f} ({cpu[-1]:.3f} of CPU)",
            flush=True,
        )
    for name, ratios in (("by the clock", clock), ("of CPU", cpu)):
        low, high = min(ratios), max(ratios)
        middle = statistics.median(ratios)
        print(f"median ratio {name}: {middle:.3f} (from {low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main()
