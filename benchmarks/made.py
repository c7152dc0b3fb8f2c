"""A workspace of made-up documents whose encodings are kept: no model reads a million texts.

The data set is real (imported from BEIR files by the import job), and so is all that is done with
it: jobs, run by a supervisor in worker processes. Made up are the documents' vectors, which lie in
clusters around those of real texts (functions of the standard library, by the packaged model). They
are put where the workbench keeps what it has encoded, and whatever needs them finds them there. A
job that would encode a document after all fails.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from storage.records import JobStatus, SlotKind  # noqa: E402
from workbench.jobs.reporting import JobContext  # noqa: E402
from workbench.jobs.slots import patient  # noqa: E402
from workbench.recipes.base import Recipe  # noqa: E402
from workbench.recipes.data import ImportRecipe  # noqa: E402
from workbench.recipes.evaluate import EvaluateRecipe, IndexRecipe  # noqa: E402
from workbench.tasks import EXTRA_TASKS_VARIABLE, Task  # noqa: E402

MODEL, NAME = "all-MiniLM-L6-v2", "made"
#: Files of a made home, beside the workspace's own.
VECTORS, QUERIES, RELEVANT = "documents.npy", "queries.npy", "relevant.npy"
#: Vectors made at a time, real texts that clusters lie around, documents relevant to a query.
BLOCK, CENTRES, JUDGED = 50_000, 1_000, 3
#: How far vectors of length 1 are moved from their centre, and queries from their document.
_AROUND, _NEAR = 0.8, 0.6
_WORDS = "Some words more, so that a text is as long as texts are. " * 7


def surroundings() -> None:
    """Set what this process and the workers it starts find in their environment."""
    os.environ.update(patient(os.environ))
    os.environ[EXTRA_TASKS_VARIABLE] = "benchmarks.made:TASKS"
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *([before] if before else [])])


# -- what is made --------------------------------------------------------------------------------


def make(home: Path, documents: int, queries: int) -> None:
    """Vectors, BEIR files, the data set, and the kept encodings; what is there already stays."""
    made = home / "made.json"
    if made.is_file():
        found = json.loads(made.read_text(encoding="utf-8"))
        if found != {"documents": documents, "queries": queries}:
            raise SystemExit(f"{home} holds {found}: name another --folder, or remove it.")
        return
    home.mkdir(parents=True, exist_ok=True)
    vectors(home, documents, queries)
    files = home / "beir"
    write_files(files, documents, np.load(home / RELEVANT))
    done(home, ImportRecipe(paths=[str(files)], name=NAME))
    fill(home)
    made.write_text(json.dumps({"documents": documents, "queries": queries}), encoding="utf-8")


def vectors(home: Path, documents: int, queries: int) -> None:
    random = np.random.default_rng(11)
    # A smoke run must not encode more texts than it makes documents.
    centres = real_vectors(min(CENTRES, documents // 20))
    shape = (documents, centres.shape[1])
    made = np.lib.format.open_memmap(home / VECTORS, "w+", dtype=np.float32, shape=shape)
    for start in range(0, documents, BLOCK):
        size = min(BLOCK, documents - start)
        made[start : start + size] = moved(centres[random.integers(0, len(centres), size)], _AROUND)
    near = np.sort(random.choice(documents, queries, replace=False))
    np.save(home / QUERIES, moved(made[near], _NEAR))
    relevant = random.integers(0, documents, (queries, JUDGED))
    relevant[:, 0] = near
    np.save(home / RELEVANT, relevant)


def moved(vectors: Any, far: float) -> Any:
    """Each of some vectors of length 1 (n, d), moved so far by chance, and again of length 1."""
    random = np.random.default_rng(len(vectors))
    way = random.standard_normal(vectors.shape, dtype=np.float32)
    found = vectors + far * way / np.linalg.norm(way, axis=1, keepdims=True)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def real_vectors(count: int) -> Any:
    import tempfile

    from workbench.data.job import collect
    from workbench.models.load import load_embedding
    from workbench.models.locate import locate
    from workbench.workspace import Workspace

    texts = [pair.code for pair in islice(collect(lambda *_: None, lambda: None), count)]
    with tempfile.TemporaryDirectory() as home:
        model = load_embedding(locate(Workspace.open(Path(home)), MODEL))
        return model.encode(texts, "document")


def write_files(folder: Path, documents: int, relevant: Any) -> None:
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for row in range(documents):
            text = f"{row} is the number of this document. {_WORDS}"
            file.write(json.dumps({"_id": f"d{row:08}", "title": "", "text": text}) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for row in range(len(relevant)):
            file.write(json.dumps({"_id": f"q{row:06}", "text": f"{row} is asked for"}) + "\n")
    with (folder / "qrels" / "test.tsv").open("w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for row, judged in enumerate(relevant.tolist()):
            file.writelines(f"q{row:06}\td{one:08}\t1\n" for one in dict.fromkeys(judged))


class Lookup:
    """Stands in for the model: a text begins with the number of its vector."""

    def __init__(self, home: Path, contract: Any) -> None:
        self.contract = contract
        self.vectors = {
            role: np.load(home / name, mmap_mode="r")
            for role, name in (("query", QUERIES), ("document", VECTORS))
        }

    def encode(self, texts: list[str], role: str, **_: Any) -> Any:
        return np.asarray(self.vectors[role][[int(text.split(" ", 1)[0]) for text in texts]])


def fill(home: Path) -> None:
    """Put the vectors where jobs look for what the packaged model has encoded."""
    from dataclasses import replace

    from workbench.evaluation.cached import with_cache
    from workbench.evaluation.texts import join_documents
    from workbench.models.load import load_embedding
    from workbench.models.locate import locate
    from workbench.workspace import Workspace

    workspace = Workspace.open(home)
    local = locate(workspace, MODEL)
    real: Any = with_cache(load_embedding(local), local, workspace)
    encoder = replace(real, model=Lookup(home, real.contract))
    reader = workspace.datasets.read(NAME)
    encoder.encode(reader.queries("test")["text"].to_pylist(), "query")
    for table in reader.iter_documents():
        encoder.encode(join_documents(table, real.contract).to_pylist(), "document")
    workspace.close()


# -- jobs ----------------------------------------------------------------------------------------


def done(home: Path, recipe: Recipe) -> dict[str, Any]:
    """Run a job to its end in a worker process; its result, and 'job_seconds' from its start."""
    from workbench.jobs.supervisor import Supervisor
    from workbench.workspace import Workspace

    workspace = Workspace.open(home)
    supervisor = Supervisor(workspace)
    supervisor.start()
    try:
        ended = supervisor.run_until(workspace.jobs.submit(recipe).id)
        if ended.status is not JobStatus.SUCCEEDED:
            log = workspace.jobs.folder(ended.id) / "log.txt"
            raise SystemExit(f"{ended.error}\n{log.read_text(encoding='utf-8')[-2000:]}")
        took = (ended.finished_at or 0.0) - (ended.started_at or 0.0)
        return {**(ended.result or {}), "job_seconds": took}
    finally:
        supervisor.stop()
        workspace.close()


class MeasuredEvaluate(EvaluateRecipe):
    """The task 'evaluate', with a stopwatch."""

    task: ClassVar[str] = "evaluate-measured"


class MeasuredIndex(IndexRecipe):
    """The task 'index', with a stopwatch."""

    task: ClassVar[str] = "index-measured"


def run_evaluate(recipe: MeasuredEvaluate, context: JobContext) -> dict[str, Any]:
    from workbench.evaluation import job

    return measured(lambda: job.run(EvaluateRecipe.model_validate(recipe.model_dump()), context))


def run_index(recipe: MeasuredIndex, context: JobContext) -> dict[str, Any]:
    from workbench.search import making

    return measured(
        lambda: making.run_build(IndexRecipe.model_validate(recipe.model_dump()), context)
    )


def measured(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A task's result with seconds, without those that loading the model took, and memory in MB.
    Libraries are imported before the clock starts."""
    from workbench.models import load

    loading: list[float] = []
    plain_load, plain_encode = load.load_model, load.LoadedEmbedding.encode

    def timed(*given: Any, **options: Any) -> Any:
        began = time.perf_counter()
        found = plain_load(*given, **options)
        loading.append(time.perf_counter() - began)
        return found

    def encode(model: Any, texts: Any, role: str, **options: Any) -> Any:
        if role == "document":
            raise AssertionError(f"{len(texts)} documents were not found among kept encodings")
        return plain_encode(model, texts, role, **options)  # type: ignore[arg-type]

    load.load_model, load.LoadedEmbedding.encode = timed, encode  # type: ignore[assignment]
    before, began, worked = peak(), time.perf_counter(), time.process_time()
    found = run()
    about = {"whole": time.perf_counter() - began, "cpu": time.process_time() - worked}
    about |= {"loading": sum(loading), "before": before, "peak": peak()}
    return {**found, "measured": about}


def peak() -> float:
    """The most memory this process has held, in MB. (getrusage would count what the process that
    started it held as well.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


TASKS: dict[str, Task] = {
    "evaluate-measured": Task(
        MeasuredEvaluate,
        "benchmarks.made:run_evaluate",
        SlotKind.TRAIN,
        "workbench.evaluation.prepare:prepare_evaluate",
    ),
    "index-measured": Task(
        MeasuredIndex,
        "benchmarks.made:run_index",
        SlotKind.TRAIN,
        "workbench.search.staleness:prepare_index",
    ),
}


def questions(count: int) -> Iterator[str]:
    """What the standard library's functions say of themselves."""
    from workbench.data.job import collect

    pairs = islice(collect(lambda *_: None, lambda: None), CENTRES)
    return (pair.query for pair in islice(pairs, 0, CENTRES, max(1, CENTRES // count)))
