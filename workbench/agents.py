"""What an agent may ask of a workspace: to read what is there, to search, to have a question
answered. Nothing changes.

The docstrings are for agents: Gradio's MCP server shows them as the tools' descriptions, with a
line for each argument.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from workbench.answers.answer import collect_answer, load_settings, prepare
from workbench.comparison.table import to_text
from workbench.comparison.text import tables
from workbench.errors import BadInput, ModelNotFound, NotFound, SearchUnavailable
from workbench.recipes.answer import AnswerRecipe
from workbench.recipes.evaluate import EvaluateRecipe
from workbench.records import JobStatus
from workbench.search.fields import as_text
from workbench.search.protocol import CANDIDATES, Hit
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from workbench.search.client import SearchClient

MOST_JOBS = 100
MOST_HITS = 50
#: Characters of a document that an agent is shown: its window is not for whole books.
LONGEST_TEXT = 2000
#: Characters of one value of a document's own fields.
LONGEST_VALUE = 500
Answer = list[dict[str, Any]]


class Tools:
    """The tools, over one workspace."""

    def __init__(self, workspace: Workspace, search: "SearchClient | None") -> None:
        self._workspace = workspace
        self._search = search

    def list_datasets(self) -> Answer:
        """List the data sets of the workspace, newest first: name, current version, and how many queries, documents and judgments each has."""  # noqa: E501
        return [
            {
                "name": one.name,
                "version": one.version,
                **{
                    name: one.summary[name]
                    for name in ("queries", "documents", "judgments", "splits")
                    if name in one.summary
                },
                "created": _time(one.created_at),
            }
            for one in self._workspace.datasets.list()
        ]

    def list_models(self) -> Answer:
        """List the retrieval models of the workspace, newest first: name, kind, base model, and what dev queries measured before and after training; and the search indexes built with each."""  # noqa: E501
        indexes = self._workspace.indexes.list()
        return [
            {
                "name": one.name,
                "kind": one.kind,
                "base": one.base,
                "dimensions": one.contract.get("dimensions"),
                "before": _before(one.summary),
                "after": one.summary.get("best"),
                "verdict": one.verdict or None,
                "indexes": [i.name for i in indexes if one.id == i.model_id],
                "created": _time(one.created_at),
            }
            for one in self._workspace.models.list()
        ]

    def list_indexes(self) -> Answer:
        """List the search indexes of the workspace, newest first: name, the data set and version whose documents it holds, how many they are, the model it was built with, and how much of an exact search's top 10 it finds."""  # noqa: E501
        names = {one.id: one.name for one in self._workspace.datasets.list()}
        return [
            {
                "name": one.name,
                "dataset": names.get(one.dataset_id),
                "version": one.version,
                "documents": one.documents,
                "model": one.model,
                "recall@10": one.summary.get("recall@10"),
                "created": _time(one.created_at),
            }
            for one in self._workspace.indexes.list()
        ]

    def list_jobs(self, limit: int = 20) -> Answer:
        """List the newest jobs (imports, trainings, evaluations, indexes): id, name, task, status, progress, and the error of one that failed.

        Args:
            limit: how many jobs to list, from 1 to 100.
        """  # noqa: E501
        if not 1 <= limit <= MOST_JOBS:
            raise BadInput(f"limit must be between 1 and {MOST_JOBS}.")
        return [
            {
                "id": one.id,
                "name": one.name,
                "task": one.task,
                "status": one.status.value,
                "progress": one.progress or None,
                "error": (one.error or {}).get("message"),
                "created": _time(one.created_at),
            }
            for one in self._workspace.jobs.list()[:limit]
        ]

    def search(
        self, index: str, query: str, top_k: int = 10, reranker: str = "", where: str = ""
    ) -> dict[str, Any]:
        """Search the documents of an index for what answers a question. Returns the best documents with id, score, title, text (long texts are cut), the documents' own fields, and for a picture its file.

        Args:
            index: the name of a search index; list_indexes names them.
            query: the question, in words.
            top_k: how many documents to return, from 1 to 50.
            reranker: the name of a reranker or late-interaction model of the workspace that orders the first hits anew; empty for none.
            where: keep only documents whose own fields fit, for example: year >= 2020 and lang in en, de; empty for all.
        """  # noqa: E501
        if not 1 <= top_k <= MOST_HITS:
            raise BadInput(f"top_k must be between 1 and {MOST_HITS}.")
        if self._search is None:
            raise SearchUnavailable("This page only reads records and cannot search.")
        found = self._search.search(
            index,
            query,
            top_k,
            reranker=self._second(reranker),
            candidates=max(CANDIDATES, top_k),
            where=where,
        )
        hits = [_hit(hit) for hit in found.hits]
        return {"index": found.index, "model": found.model, "query": found.query, "hits": hits}

    def answer(self, index: str, question: str, top_k: int = 5) -> dict[str, Any]:
        """Answer a question from the documents of an index: a written answer with numbered citations where the person has set up a language model for answers, and the passages it rests on (long texts are cut). The state says whether something relevant was found.

        Args:
            index: the name of a search index; list_indexes names them.
            question: the question, in words.
            top_k: how many passages to rest on, from 1 to 50.
        """  # noqa: E501
        if self._search is None:
            raise SearchUnavailable("This page only reads records and cannot search.")
        values = {**load_settings(self._workspace), "index": index, "top_k": top_k}
        recipe = prepare(self._workspace, AnswerRecipe.read(values), question)
        told = collect_answer(self._workspace, self._search, recipe, question)
        shown = ("number", "id", "title", "score", "cited")
        passages = [
            {**{name: one[name] for name in shown}, "text": one["text"][:LONGEST_TEXT]}
            for one in told["passages"]
            if one["enough"]
        ]
        kept = ("question", "index", "writer", "state", "answer", "citations", "error")
        return {**{name: told[name] for name in kept}, "passages": passages}

    def compare(self, dataset: str, split: str = "test") -> dict[str, Any]:
        """Show the newest comparison of models on a data set: each model's metrics (MAP, NDCG, recall ...), and whether its difference to the first model is more than luck.

        Args:
            dataset: the name of a data set; list_datasets names them.
            split: which queries were asked: test, dev or train.
        """  # noqa: E501
        if split not in ("test", "dev", "train"):
            raise BadInput(f"'{split}' is no split.", "It is test, dev or train.")
        about = self._workspace.datasets.get(dataset)
        # By its id: another data set may have had the name before.
        measured = self._workspace.evaluations.list(dataset=about.id, split=split)
        jobs = {one.job_id for one in measured}
        for job in self._workspace.jobs.list(task=EvaluateRecipe.task):
            recipe = job.recipe
            # A job that checks for forgetting measures on a second data set as well.
            own = recipe.get("dataset") in (about.name, about.id) and recipe.get("split") == split
            if own and job.id in jobs and job.status is JobStatus.SUCCEEDED and job.result:
                return _compared(job.id, job.result)
        raise NotFound(
            f"Nothing was compared on the {split} queries of '{about.name}' yet.",
            "A person can do so on the Compare tab.",
        )

    def _second(self, name: str) -> str | None:
        """A second stage's name, of the workspace's own models only: an agent must neither load a
        folder from elsewhere nor fetch from the hub. Raises :class:`ModelNotFound`."""
        if not name.strip():
            return None
        models = self._workspace.models
        if models.exists(name.strip()):
            return models.get(name.strip()).name
        known = [one.name for one in models.list()]
        raise ModelNotFound.among("model", name, known, "list_models names them.")


def _hit(hit: Hit) -> dict[str, Any]:
    """A picture by its file's path below the data set's folder: where that lies is nobody's."""
    about: dict[str, Any] = {
        "id": hit.id,
        "score": hit.score,
        "title": hit.title,
        "text": hit.text[:LONGEST_TEXT],
        "fields": {name: _cut(value) for name, value in hit.fields.items()},
    }
    return {**about, "picture": hit.picture} if hit.picture else about


def _cut(value: Any) -> Any:
    """A field's value; a long one becomes text that is cut."""
    text = as_text(value)
    return value if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE]


def _compared(job: str, result: dict[str, Any]) -> dict[str, Any]:
    """A result's rows and comparisons, and its tables as text."""
    kept = ("dataset", "split", "rows", "comparisons")
    about = {name: result[name] for name in kept if name in result}
    return {"job": job, **about, "table": "\n".join(to_text(one) for one in tables(result))}


def _before(summary: dict[str, Any]) -> dict[str, float] | None:
    """What dev queries measured before training. Homes of an earlier day have models of random
    weights that say 'untrained': true alone, which is no measurement."""
    found = (summary.get(name) for name in ("untrained", "baseline"))
    return next((one for one in found if one and isinstance(one, dict)), None)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
