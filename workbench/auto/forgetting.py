"""What training cost elsewhere: the trained model beside its base on a general data set, and how
both change with the share of the trained weights (WiSE-FT: Wortsman et al. 2022). Worker processes
only.

It is measured after the last step, before the model is registered, and decides nothing: the gate
and the blend are about the person's own queries.
"""

import gc
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from workbench.auto import decisions
from workbench.auto.look_pool import RELEVANT, everywhere, hardest, judged, sampled
from workbench.auto.run import Decided
from workbench.comparison.names import DEPTH, HEADLINE, METRICS
from workbench.comparison.significance import compare
from workbench.data.clusters import relevant_clusters
from workbench.data.job import SAMPLE_FORMAT
from workbench.data.reader import DatasetReader
from workbench.errors import BadInput, JobCancelled
from workbench.evaluation.bm25 import retrieve_bm25
from workbench.evaluation.cached import with_cache
from workbench.evaluation.measure import Measured, measure
from workbench.evaluation.pool import Pool, over_documents
from workbench.models.locate import locate_folder
from workbench.training.averaging import ends, put_between
from workbench.training.budget import lengths_read, training_work
from workbench.training.checkpoints import checkpoint_folder
from workbench.training.run import Outcome, Run, Trained

#: Shares of the trained weights that are measured; 0 is the base.
RATIOS = (0.0, 0.25, 0.5, 0.75, 1.0)
#: The most that is asked, and searched: the relevant documents, then BM25's first.
QUERIES, DOCUMENTS = 100, 300
#: With fewer queries nothing could be told.
LEAST_QUERIES = 20
#: Of the run's work.
SHARE = decisions.GENERAL
#: Of a larger collection BM25 ranks the relevant documents and so many others.
RANKED = 5_000
#: Which queries are asked: the same ones in every run, so that the base's vectors are kept.
SEED = 7


def with_forgetting(decided: Decided, trained: Trained, outcome: Outcome) -> Decided:
    """The same with what the model is worth on the general data set, where there is one.

    What goes wrong with it is said, and costs nobody the model that was trained. Raises
    :class:`JobCancelled`.
    """
    name = general_set(decided.run)
    if not name:
        return decided
    found: dict[str, Any]
    try:
        found = _measured(decided, trained, outcome, name)
    except JobCancelled:
        raise
    except Exception as error:  # noqa: BLE001 - hours of training do not depend on it
        found = {"dataset": name, "note": f"Forgetting was not measured on '{name}': {error}"}
    finally:
        # Two models are no longer needed, and stand in circles of references.
        gc.collect()
    if said := found.get("note"):
        decided.run.context.note(said)
    return replace(decided, forgetting=found)


def general_set(run: Run) -> str:
    """The name of the run's general data set, '' for none: of a recipe that says 'auto' the newest
    sample, unless what is trained on is made of one."""
    wanted = getattr(run.recipe, "general", "none").strip()
    datasets = run.context.workspace.datasets
    if wanted.lower() not in ("", "auto", "none"):
        return "" if wanted == run.recipe.dataset else wanted
    if wanted.lower() != "auto" or SAMPLE_FORMAT in _formats(run.reader.summary):
        return ""
    samples = (one.name for one in datasets.list() if _formats(one.summary) == [SAMPLE_FORMAT])
    return next(samples, "")


def _formats(summary: dict[str, Any]) -> list[str]:
    return str(summary.get("format", "")).split(" + ")


@dataclass(frozen=True, slots=True)
class _Ground:
    """What is asked and searched."""

    reader: DatasetReader
    split: str
    pool: Pool

    @property
    def clusters(self) -> Any:
        return relevant_clusters(self.pool.queries, self.pool.judgments)


def _measured(decided: Decided, trained: Trained, outcome: Outcome, name: str) -> dict[str, Any]:
    run = decided.run
    reader = run.context.workspace.datasets.read(name)
    split = _split(reader)
    queries = _room(decided, trained, outcome, reader, split)
    if queries < LEAST_QUERIES:
        return {
            "dataset": name,
            "note": f"Forgetting was not measured on '{name}': the run is short, and it would take "
            "more than a tenth of it.",
        }
    ground = _ground(run, reader, split, queries)
    metric = run.recipe.metric if run.recipe.metric in METRICS else HEADLINE
    values = dict(_points(decided, trained, ground, metric))
    own = _own(decided, outcome) if metric == run.recipe.metric else {}
    kept, base = values[decided.blend], values[0.0]
    compared = compare(kept, base, seed=SEED, clusters=ground.clusters)
    return {
        "dataset": name,
        "dataset_version": reader.version,
        "split": split,
        "queries": len(ground.pool.queries),
        "groups": compared.clusters,
        "documents": ground.pool.documents,
        "metric": metric,
        "kept": decided.blend,
        "curve": [
            {"ratio": ratio, "general": float(one.mean()), "own": own.get(ratio)}
            for ratio, one in sorted(values.items())
        ],
        "delta": compared.delta,
        "ci95": list(compared.ci95) if compared.ci95 else None,
        "p_value": compared.p_value,
    }


def _own(decided: Decided, outcome: Outcome) -> dict[float, float]:
    """Share of the trained weights -> the metric on the person's queries, where it is known."""
    if decided.own or not outcome.best:
        return dict(decided.own)
    return {
        0.0: outcome.untrained[outcome.metric],
        decided.blend: outcome.best[outcome.metric],
    }


# What is asked: small enough that all of it takes at most a tenth of the run.


def _split(reader: DatasetReader) -> str:
    """Test, else the first that has queries."""
    splits = reader.counts["splits"]
    for split in ("test", "dev", "train"):
        if splits.get(split):
            return split
    raise BadInput(f"'{reader.name}' has no queries.", "Choose another general data set.")


def _room(
    decided: Decided, trained: Trained, outcome: Outcome, reader: DatasetReader, split: str
) -> int:
    """How many queries may be asked, each with its part of the documents."""
    run, contract = decided.run, trained.contract
    _, work = training_work(run.reader, run.recipe, contract, run.group.size)
    tested = outcome.tested
    if tested and tested.folds > 1:
        # Each fold's model is trained on all queries but those of the fold.
        work *= tested.folds
    read = lengths_read(reader, contract, split, contract, SEED)
    each = read.query + read.document * DOCUMENTS / QUERIES
    return min(QUERIES, int(SHARE * work / (each * len({*RATIOS, decided.blend}))))


def _ground(run: Run, reader: DatasetReader, split: str, queries: int) -> _Ground:
    context, exclude = run.context, run.recipe.exclude_query_document
    documents = DOCUMENTS * queries // QUERIES

    def progress(done: int, total: int) -> None:
        context.progress(done, total, "texts", f"BM25 on '{reader.name}'")

    asked = judged(reader, (split,))
    places = sampled(asked, queries, int(RELEVANT * documents), SEED)
    some = asked.some(places)
    corpus = everywhere(some, SEED, exclude, RANKED)
    stop = context.check_cancelled
    ranked = retrieve_bm25(corpus, k=DEPTH, progress=progress, stop=stop)
    chosen = hardest(some, ranked.documents, documents)
    pool = over_documents(reader, some.table, some.judgments, chosen, exclude)
    return _Ground(reader, split, pool)


# The models between the base and the trained one.


def _points(
    decided: Decided, trained: Trained, ground: _Ground, metric: str
) -> Iterator[tuple[float, Any]]:
    """Share of the trained weights -> the metric of each query.

    The base is used as it is used without training, and what it makes of the texts is kept for the
    next run; the others are used as the trained model is.
    """
    run = decided.run
    base = run.load(run.base, run.base.contract)
    kept = with_cache(base, run.base, run.context.workspace)
    yield 0.0, _measure(run, kept, ground, 0.0).scores.values[metric]
    folder = checkpoint_folder(run.output, trained.best_step)
    saved = locate_folder(run.context.workspace, folder, contract=trained.contract, base=run.base)
    loaded = run.load(saved)
    before, tuned = ends(base.model, loaded.model)
    del base, kept
    for ratio in sorted({*RATIOS, decided.blend} - {0.0}):
        # What was saved is itself so far from the base as the blend says.
        put_between(loaded.model, before, tuned, ratio / decided.blend)
        yield ratio, _measure(run, loaded, ground, ratio).scores.values[metric]


def _measure(run: Run, model: Any, ground: _Ground, ratio: float) -> Measured:
    context, name = run.context, ground.reader.name

    def progress(done: int, total: int) -> None:
        said = f"Measuring forgetting on '{name}', share of the trained weights {ratio:g}"
        context.progress(done, total, "texts", said)

    return measure(model, ground.pool, progress=progress, stop=context.check_cancelled)
