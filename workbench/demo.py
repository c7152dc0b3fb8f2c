"""The sample from end to end: data, baseline and training, comparison on test, a search index.

Four jobs, each waiting for the one before. The page's first button and ``demo`` on the command line
both start them here.
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from storage.records import Job, JobStatus
from workbench.errors import JobNotFound, WorkbenchError
from workbench.evaluation.named import BM25
from workbench.recipes.data import SampleRecipe
from workbench.recipes.evaluate import EvaluateRecipe, IndexRecipe
from workbench.recipes.train import TrainEmbeddingRecipe
from workbench.workspace import Workspace

DATASET = "stdlib-code"
MODEL = "stdlib-code-minilm"
INDEX = "stdlib-code"

#: Chosen on two cores: one pass over 1,200 pairs.
TRAINING: dict[str, Any] = {
    "epochs": 1.0,
    "batch_size": 32,
    "learning_rate": 1e-4,
    "negatives": 0,
    "query_max_len": 64,
    # A tuned model read at 96 and at 128 tokens measured MAP@100 .663 and .667: not worth the time.
    "passage_max_len": 96,
}


@dataclass(frozen=True, slots=True)
class DemoJobs:
    """The chained jobs. ``sample`` is None where the sample data set was there already."""

    sample: Job | None
    train: Job
    evaluate: Job
    index: Job

    @property
    def jobs(self) -> tuple[Job, ...]:
        """In the order they run."""
        rest = (self.train, self.evaluate, self.index)
        return rest if self.sample is None else (self.sample, *rest)


def start(workspace: Workspace, **training: Any) -> DemoJobs:
    """Submit the jobs; they run when a supervisor is there. ``training`` changes its settings."""
    base = workspace.models.ensure_packaged().name
    sample = _sample(workspace)
    tuned = _free(workspace, "train-embedding", MODEL, workspace.models.free_name)
    settings = {**TRAINING, **training, "dataset": DATASET, "model": base, "name": tuned}
    train = workspace.jobs.submit(
        TrainEmbeddingRecipe.read(settings), after=sample.id if sample else None
    )
    evaluate = workspace.jobs.submit(
        EvaluateRecipe(dataset=DATASET, split="test", models=[base, tuned, BM25]), after=train.id
    )
    name = _free(workspace, "index", INDEX, workspace.indexes.free_name)
    index = workspace.jobs.submit(
        IndexRecipe(dataset=DATASET, model=tuned, name=name), after=evaluate.id
    )
    return DemoJobs(sample, train, evaluate, index)


def collect(workspace: Workspace, started: DemoJobs) -> dict[str, Any]:
    """The finished jobs' results as ``demo``'s JSON; raises when one has not succeeded."""
    jobs = [workspace.jobs.get(job.id) for job in started.jobs]
    for job in jobs:
        if job.status is not JobStatus.SUCCEEDED:
            raise WorkbenchError(
                f"The job '{job.name}' is {job.status.value}, so the sample run is not complete.",
                f"See what it says: python -m workbench jobs show {job.id}",
            )
    train, evaluate, index = jobs[-3:]
    ended = [job.finished_at for job in jobs if job.finished_at is not None]
    return {
        "dataset": DATASET,
        "train": {"job": train.id, "status": train.status.value, **(train.result or {})},
        "evaluate": evaluate.result or {},
        "index": index.result or {},
        "seconds": round(max(ended) - jobs[0].created_at, 3),
    }


def _sample(workspace: Workspace) -> Job | None:
    """The job that brings the data set: none needed, one on its way, or a new one."""
    if workspace.datasets.exists(DATASET):
        return None
    for job in workspace.jobs.active():
        if job.task == SampleRecipe.task and job.recipe.get("name") == DATASET:
            return job
    return workspace.jobs.submit(SampleRecipe(name=DATASET))


def _free(workspace: Workspace, task: str, wanted: str, free_name: Any) -> str:
    """A name that no record has and no job on its way will take."""
    promised = {job.recipe.get("name") for job in workspace.jobs.active() if job.task == task}
    name, number = free_name(wanted), 1
    while name in promised:
        number += 1
        name = free_name(f"{wanted}-{number}")
    return str(name)


def latest(workspace: Workspace) -> DemoJobs | None:
    """The newest sample run whose jobs are all still on record, read back from the store."""
    for index in workspace.jobs.list(task=IndexRecipe.task, limit=50):
        if index.recipe.get("dataset") == DATASET and index.after is not None:
            with suppress(JobNotFound):
                return find(workspace, index.id)
    return None


def find(workspace: Workspace, index: str) -> DemoJobs:
    """The sample run that ends with the job of that id, followed back along what each one waited
    for; raises :class:`JobNotFound` where one of its jobs is gone."""
    last = workspace.jobs.get(index)
    evaluate = workspace.jobs.get(last.after or "")
    train = workspace.jobs.get(evaluate.after or "")
    sample = workspace.jobs.get(train.after) if train.after else None
    return DemoJobs(sample, train, evaluate, last)
