"""What a recipe is worth: the base, an expert's script, and training by presets, on test.

    python benchmarks/recipes.py --data FOLDER FOLDER --out ROWS.json
    python benchmarks/recipes.py --data FOLDER --recipes expert auto lora reranker

Each is one command of real jobs: the presets are submitted and run as anyone's, the expert's script
(expert.py) is a process of its own. MAP@100 over all documents of the data set; what is gained is
counted from the base at the best of ``--lengths``, chosen on test, which is to the base's favour.
Intervals are the percentile bootstrap over clusters: queries that share a relevant document are
drawn together. Processor seconds are those of all processes, the reading of their libraries
included. 'reranker' and 'late-interaction' (balanced; with 'auto-' before it the preset auto) order
the base's first 50 documents, for which they are trained and judged, too; their gain is counted
from that order. Without ``--data``, the packaged sample.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workbench.jobs.slots import patient

# As workers have it, before torch is imported; both sides alike.
os.environ.update(patient(os.environ))

import numpy as np
from numpy.typing import NDArray

from benchmarks.run import run as run_command
from benchmarks.sides import Row, number, spent, table, write_rows
from benchmarks.training_quality import imported
from workbench.comparison.significance import mean_interval
from workbench.data.clusters import relevant_clusters
from workbench.evaluation.candidates import CandidateSet, freeze, rerank
from workbench.evaluation.measure import measure, score
from workbench.evaluation.pool import Pool, whole_pool
from workbench.evaluation.texts import join_documents
from workbench.jobs.supervisor import Supervisor
from workbench.models.contract import Contract
from workbench.models.load import load_model
from workbench.models.locate import LocalModel, locate, locate_folder
from workbench.recipes.decided import started_from
from workbench.recipes.train import TrainEmbeddingRecipe, TrainRecipe
from workbench.recipes.train_kinds import TrainLateInteractionRecipe, TrainRerankerRecipe
from workbench.workspace import Workspace

Floats = NDArray[np.float64]
METRIC = "map@100"
#: Documents that a second stage orders.
CANDIDATES = 50
#: Recipes by what this command calls them: the kind, the preset, and what differs from it.
PRESETS: dict[str, tuple[type[TrainRecipe], str, dict[str, Any]]] = {
    **{name: (TrainEmbeddingRecipe, name, {}) for name in ("auto", "quick", "balanced")},
    "auto-lora": (TrainEmbeddingRecipe, "auto", {"method": "lora"}),
    "lora": (TrainEmbeddingRecipe, "balanced", {"method": "lora", "learning_rate": 5e-4}),
    "reranker": (TrainRerankerRecipe, "balanced", {}),
    "auto-reranker": (TrainRerankerRecipe, "auto", {}),
    "late-interaction": (TrainLateInteractionRecipe, "balanced", {}),
    "auto-late-interaction": (TrainLateInteractionRecipe, "auto", {}),
}
EXPERT = "expert"
#: What is tried where nothing is named.
USUAL = [EXPERT, "balanced", "auto"]


@dataclass(frozen=True)
class Found:
    """What a recipe came to: AP@100 of each test query, and of what it is counted from."""

    values: Floats
    against: Floats
    cpu: float
    note: str = ""


def main() -> None:
    asked = read_arguments()
    home = Path(tempfile.mkdtemp(prefix="recipes-"))
    try:
        workspace = Workspace.open(home)
        rows: list[Row] = []
        for name in imported(workspace, asked.data, asked.made):
            for row in Trial(workspace, name, asked).rows():
                rows.append(row)
                print(table([row]).splitlines()[-1], flush=True)
                # What a run of hours found is kept if it ends before all is found.
                write_rows(asked.out, rows)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="folders as BEIR has them")
    parser.add_argument("--made", type=int, help="so many made pairs instead, to try it")
    parser.add_argument("--recipes", nargs="+", choices=[EXPERT, *PRESETS], default=USUAL)
    parser.add_argument("--lengths", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--epochs", type=float, help="instead of each recipe's, to be quick")
    parser.add_argument("--rows", type=int, help="of the presets' training, at most")
    parser.add_argument("--queries", type=int, help="of the test, at most")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    return parser.parse_args()


class Trial:
    """One data set, its test queries, and what recipes make of it."""

    def __init__(self, workspace: Workspace, dataset: str, asked: argparse.Namespace) -> None:
        self.workspace, self.dataset, self.asked = workspace, dataset, asked
        self.reader = workspace.datasets.read(dataset)
        self.pool: Pool = whole_pool(self.reader, "test", max_queries=asked.queries)
        self.base = locate(workspace, workspace.models.ensure_packaged().name)
        self.clusters = relevant_clusters(self.pool.queries, self.pool.judgments)

    def rows(self) -> list[Row]:
        """MAP and processor seconds of each recipe. The other side of MAP is the base (or the
        first stage), that of seconds the expert's script."""
        found = {name: self._tried(name) for name in self.asked.recipes}
        expert = found.get(EXPERT)
        rows = []
        for name, one in found.items():
            title = f"{self.dataset}, {name}"
            if one is None:
                rows.append(Row(f"{title}, {METRIC}", "", "more", [], note="failed"))
                continue
            gain = one.values - one.against
            interval = mean_interval(gain, seed=0, clusters=self.clusters)
            limits = "{:+.4f}, {:+.4f}".format(*interval) if interval else "-"
            note = f"gain {gain.mean():+.4f} [{limits}]; {one.note}"
            value, against = float(one.values.mean()), float(one.against.mean())
            rows.append(Row(f"{title}, {METRIC}", "", "more", [value], [against], note))
            other = [expert.cpu] if expert else []
            rows.append(Row(f"{title}, processor", "s", "less", [one.cpu], other))
        return rows

    def _tried(self, name: str) -> Found | None:
        try:
            return self._expert() if name == EXPERT else self._preset(name)
        except Exception as error:  # noqa: BLE001 - said in the row, and the others go on
            print(f"{self.dataset}, {name}: {error!r}", file=sys.stderr, flush=True)
            return None

    # The base, at each length.

    @cached_property
    def best_base(self) -> tuple[int, Floats]:
        """The length at which the base finds most on test, and its values there."""
        found = {length: self._values(self.base, length) for length in self.asked.lengths}
        length = max(found, key=lambda one: float(found[one].mean()))
        every = ", ".join(f"{one}: {number(float(of.mean()))}" for one, of in found.items())
        print(f"{self.dataset}, base at {every}", flush=True)
        return length, found[length]

    def _values(self, model: LocalModel, length: int | None = None) -> Floats:
        """AP@100 of the test queries, read at the contract's length or at this one."""
        contract = model.contract
        if length is not None:
            changes = {"passage_max_len": length, "query_max_len": length}
            contract = contract.model_copy(update=changes)
        return measure(load_model(model, contract=contract), self.pool).scores.values[METRIC]

    # What is trained.

    def _expert(self) -> Found:
        output = self.workspace.path("trained") / f"{self.dataset}-expert"
        output.mkdir(parents=True)
        pairs = output / "pairs.jsonl"
        self._write_pairs(pairs)
        script = str(Path(__file__).with_name("expert.py"))
        command = [sys.executable, script, str(pairs), str(self.base.folder), str(output)]
        if self.asked.epochs:
            command.append(str(self.asked.epochs))
        took = spent(lambda: run_command(command, 6 * 3600))
        length, against = self.best_base
        model = locate_folder(self.workspace, output)
        # Its reader takes the length that is written in the model's files.
        own = model.contract.passage_max_len
        note = f"read at {own}, base at {length}"
        return Found(self._values(model), against, took.cpu, note)

    def _write_pairs(self, path: Path) -> None:
        """All that may be trained on, as the expert has the files: dev that the import carved from
        train, too."""
        reader = self.reader
        splits = ["train", "dev"] if reader.summary.get("carved", {}).get("dev") else ["train"]
        judged = [one for split in splits for one in reader.judgments(split).to_pylist()]
        asked = [one for split in splits for one in reader.queries(split).to_pylist()]
        queries = {one["row"]: one["text"] for one in asked}
        rows = np.unique([one["document"] for one in judged if one["grade"] > 0])
        texts = join_documents(reader.documents_at(rows), Contract()).to_pylist()
        documents = dict(zip(rows.tolist(), texts, strict=True))
        with path.open("w", encoding="utf-8") as lines:
            for one in judged:
                if one["grade"] > 0:
                    pair = {"anchor": queries[one["query"]], "positive": documents[one["document"]]}
                    lines.write(json.dumps(pair) + "\n")

    def _preset(self, name: str) -> Found:
        kind, preset, changes = PRESETS[name]
        quick = {"epochs": self.asked.epochs, "max_rows": self.asked.rows}
        given = {**changes, **{field: value for field, value in quick.items() if value}}
        if "first_stage" in kind.model_fields:
            # It is tested on the candidates that it was trained for.
            given["first_stage"] = self.base.name
        recipe = kind(
            **{
                **started_from(kind, kind.presets[preset], given),
                "dataset": self.dataset,
                "model": self.base.name,
                "name": f"{self.dataset}-{name}"[:100],
                "device": "cpu",
                "seed": self.asked.seed,
            }
        )
        result: dict[str, Any] = {}
        took = spent(lambda: result.update(self._run(recipe)))
        model = locate(self.workspace, result["model"])
        if "first_stage" not in kind.model_fields:
            length, against = self.best_base
            note = f"read at {model.contract.passage_max_len}, base at {length}; {said(result)}"
            return Found(self._values(model), against, took.cpu, note)
        frozen = self._frozen
        against = score(self.pool, frozen.run).scores.values[METRIC]
        values = rerank(load_model(model), frozen).scores.values[METRIC]
        return Found(values, against, took.cpu, f"of the base's first {CANDIDATES}; {said(result)}")

    def _run(self, recipe: TrainRecipe) -> dict[str, Any]:
        job = self.workspace.jobs.submit(recipe)
        done = Supervisor(self.workspace).run_until(job.id, lambda job: None)
        if not done.result or "model" not in done.result:
            raise RuntimeError(f"the job ended as {done.status.value}: {done.error}")
        return done.result

    @cached_property
    def _frozen(self) -> CandidateSet:
        encoder = load_model(self.base)
        stage: dict[str, Any] = {"first_stage": self.base.name, "encoder": encoder}
        return freeze(self.reader, "test", self.pool, k=CANDIDATES, **stage)


def said(result: dict[str, Any]) -> str:
    """What the job itself says of the model, and what it decided."""
    said = "recommended" if result["recommended"] == result["model"] else "not recommended"
    p_value = result.get("p_value")
    said = said if p_value is None else f"{said}, p = {p_value:.4f}"
    decided = [f"{one['name']} {one['value']}" for one in result.get("decisions", ())]
    return "; ".join([said, ", ".join(decided)]) if decided else said


if __name__ == "__main__":
    main()
