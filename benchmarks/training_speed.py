"""Samples per second of our training against a plain sentence-transformers script.

    python benchmarks/training_speed.py [--kind reranker] [--steps 8] [--repeats 5]

Same model, same rows, same batch, same length, same number format, in one process, interleaved
(ours, plain, ours, plain ...). Counted is the step loop from the end of the second step to the end
of the last, with all that we write down at each step, without evaluating and saving. The last line
has the median of the repeats' ratios.
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

from benchmarks.loops import WARM_UP, ours, plain_embedding, plain_reranker, rate
from workbench.jobs.supervisor import Supervisor
from workbench.recipes.data import SampleRecipe
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.recipes.train_kinds import TrainRerankerRecipe
from workbench.workspace import Workspace

PLAIN: dict[str, Any] = {"embedding": plain_embedding, "reranker": plain_reranker}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=list(PLAIN), default="embedding")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, default=None)
    parser.add_argument("--length", type=int, default=128)
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="training-speed-"))
    try:
        measure(home, asked)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def make_recipe(workspace: Workspace, asked: argparse.Namespace) -> Any:
    shared = {
        "dataset": "stdlib-code",
        "model": workspace.models.ensure_packaged().name,
        "max_steps": asked.steps + WARM_UP,
    }
    if asked.kind == "reranker":
        lengths = {"query_max_len": 32, "passage_max_len": asked.length - 32}
        return TrainRerankerRecipe(**shared, **lengths, batch_size=asked.batch or 8, negatives=4)
    # One length for both: the plain script knows no other way.
    lengths = {"query_max_len": asked.length, "passage_max_len": asked.length}
    return TrainEmbeddingRecipe(**shared, **lengths, batch_size=asked.batch or 32, negatives=0)


def measure(home: Path, asked: argparse.Namespace) -> None:
    workspace = Workspace.open(home)
    sample = workspace.jobs.submit(SampleRecipe())
    Supervisor(workspace).run_until(sample.id, lambda job: None)
    recipe = make_recipe(workspace, asked)
    ratios = []
    for repeat in range(asked.repeats):
        found = {}
        for name, arm in (("ours", ours), ("plain", PLAIN[asked.kind])):
            folder = home / f"{name}-{repeat}"
            found[name] = rate(arm(workspace, recipe, folder), recipe.batch_size)
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
