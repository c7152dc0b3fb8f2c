"""Likely false negatives as a finding; the model that judges is loaded only here."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.splits import CODES
from workbench.data_check.checked import Array, CheckedVersion, queries_of
from workbench.data_check.report import EXAMPLES, Example, Finding, Fix
from workbench.errors import BadInput
from workbench.evaluation.cached import with_cache
from workbench.evaluation.candidates import as_scorer, reading, score_rows
from workbench.evaluation.named import BM25
from workbench.evaluation.own_document import query_itself
from workbench.evaluation.pictures import has_pictures
from workbench.model_kinds import seeing
from workbench.models.locate import locate
from workbench.plurals import counted

if TYPE_CHECKING:
    from workbench.data_check.checked import CheckedVersion


def false_negatives(data: CheckedVersion) -> Iterator[Finding]:
    """Negatives that the judge scores above the best positive."""
    if not data.queries:
        return
    if not data.recipe.judge:
        if _to_judge(data):
            data.notes.append(
                "Likely false negatives were not checked: no judge was chosen. Choose a judge "
                "model (on the command line: --judge MODEL) and run the data check again."
            )
        return
    if has_pictures(data.reader):
        data.notes.append("Likely false negatives are not checked if documents are pictures.")
        return

    found = suspects(data)
    if not found.asked:
        data.notes.append("No query there has both a positive and a negative to compare.")
        return
    if found.asked < found.able:
        data.notes.append(
            f"The judge saw {found.asked:,} of {queries_of(found.able)} with negatives; "
            "'judged_queries' sets how many."
        )
    if not len(found.queries):
        return
    links = np.stack([found.queries, found.documents], axis=1)
    count = len(links)
    yield Finding(
        "likely-false-negative",
        "warning",
        count,
        found.looked,
        f"'{data.recipe.judge}' scores {counted(count, 'negative')} of "
        f"{queries_of(len(np.unique(found.queries)))} above the best positive: some are relevant, "
        "others only fool this model. Look at them before you fix them: hard negatives are worth "
        "keeping.",
        [
            Example(
                {"query": int(query), "positive": int(positive), "negative": int(document)},
                [
                    _asked(data, int(query)),
                    ("positive", data.document(int(positive))),
                    ("negative", data.document(int(document))),
                ],
                f"{above:+.3f}",
            )
            for query, document, positive, above in zip(
                found.queries[:EXAMPLES],
                found.documents[:EXAMPLES],
                found.positives[:EXAMPLES],
                found.above[:EXAMPLES],
                strict=True,
            )
        ],
        _fixes(data, links, found.judged),
    )


def _to_judge(data: CheckedVersion) -> bool:
    """Whether there are negatives, so that a judge would have something to do."""
    return len(data.negatives()[0]) > 0


def _asked(data: CheckedVersion, query: int) -> tuple[str, str]:
    split, text = data.query(query)
    return f"query ({split})", text


def _fixes(data: CheckedVersion, links: Array, judged: Array) -> list[Fix]:
    """Training's apart from those by which models are measured."""
    trained = data.training(links[:, 0])
    count, held = int(trained.sum()), int((~trained).sum())
    return [
        Fix(
            "drop-false-negatives",
            f"Take {counted(count, 'negative')} of training away from their queries; nothing is "
            "judged relevant by this.",
            _taken(links[trained], judged[trained]),
        ),
        Fix(
            "drop-held-out-false-negatives",
            f"Take {counted(held, 'negative')} of dev and test away too. What is measured there "
            "then favours models that think as the judge does.",
            _taken(links[~trained], judged[~trained]),
        ),
    ]


def _taken(links: Array, judged: Array) -> dict[str, Array]:
    return {"drop_candidates": links[~judged], "drop_judgments": links[judged]}


# Negatives that a model scores above the positive: likely right after all. Workers only.

Rows = NDArray[np.int64]
#: Queries whose documents are in memory at once.
_QUERIES = 256


@dataclass(frozen=True)
class Suspects:
    """Negatives above their query's best positive, the surest first. (m,) each."""

    queries: Rows
    documents: Rows
    #: The best positive, by the judge.
    positives: Rows
    #: How far above it the negative is scored.
    above: NDArray[np.float64]
    #: Whether somebody judged the negative (grade 0); else it is a candidate.
    judged: NDArray[np.bool_]
    #: Negatives, and queries, that were looked at.
    looked: int
    asked: int
    #: Queries that could have been asked.
    able: int


def suspects(data: "CheckedVersion") -> Suspects:
    """Ask the recipe's judge about the negatives of (some) queries."""
    queries, documents = data.positives()
    wrong, offered, judged = _others(data, *data.negatives())
    order = np.argsort(wrong, kind="stable")
    wrong, offered, judged = wrong[order], offered[order], judged[order]
    able, asked = _queries_asked(data, queries, wrong)
    if not len(asked):  # No model is loaded for nothing.
        return _together([], 0, 0, 0)
    judge = _Judge(data)
    found: list[tuple[Any, ...]] = []
    looked = 0
    for start in range(0, len(asked), _QUERIES):
        part = asked[start : start + _QUERIES]
        data.tick(start / len(asked))
        right, mine = np.isin(queries, part), np.isin(wrong, part)
        best, positive = _best(judge, queries[right], documents[right])
        scores = judge.score(wrong[mine], offered[mine])
        looked += len(scores)
        above = scores - np.array([best[query] for query in wrong[mine].tolist()])
        high = np.flatnonzero(above > data.recipe.margin)
        places = np.flatnonzero(mine)[high]
        first = [positive[query] for query in wrong[places].tolist()]
        found.append((wrong[places], offered[places], first, above[high], judged[places]))
    return _together(found, looked, len(asked), able)


def _others(
    data: "CheckedVersion", wrong: Rows, offered: Rows, judged: NDArray[np.bool_]
) -> tuple[Rows, Rows, NDArray[np.bool_]]:
    """Negatives without those that are their query itself: they score highest and answer
    nothing."""
    itself = query_itself(data.reader, data.reader.queries())
    pairs = zip(wrong.tolist(), offered.tolist(), strict=True)
    keep = np.array([one not in itself.get(query, ()) for query, one in pairs], bool)
    return wrong[keep], offered[keep], judged[keep]


def _queries_asked(data: "CheckedVersion", queries: Rows, wrong: Rows) -> tuple[int, Rows]:
    """The chosen splits' queries with something of both kinds: how many there are, and at most as
    many of them as the recipe says."""
    both = np.intersect1d(queries, wrong)
    split = data.recipe.judged_split
    if split != "all":
        both = both[data.codes[both] == CODES[split]]
    random = np.random.default_rng(data.recipe.seed)
    return len(both), np.sort(random.permutation(both)[: data.recipe.judged_queries])


def _best(
    judge: "_Judge", queries: Rows, documents: Rows
) -> tuple[dict[int, float], dict[int, int]]:
    """Each query's highest positive: its score and its row."""
    best: dict[int, float] = {}
    rows: dict[int, int] = {}
    scores = judge.score(queries, documents).tolist()
    for query, document, score in zip(queries.tolist(), documents.tolist(), scores, strict=True):
        if query not in best or score > best[query]:
            best[query], rows[query] = score, document
    return best, rows


def _together(found: list[tuple[Any, ...]], looked: int, asked: int, able: int) -> Suspects:
    kinds = (np.int64, np.int64, np.int64, np.float64, np.bool_)
    columns: list[Any] = [
        np.concatenate([np.zeros(0, kind), *(np.asarray(one[at], kind) for one in found)])
        for at, kind in enumerate(kinds)
    ]
    order = np.argsort(-columns[3], kind="stable")
    queries, documents, positives, above, judged = (column[order] for column in columns)
    return Suspects(queries, documents, positives, above, judged, looked, asked, able)


class _Judge:
    """A model of any kind that scores (query, document) rows."""

    def __init__(self, data: "CheckedVersion") -> None:
        from workbench.models.load import load_model

        recipe, workspace = data.recipe, data.context.workspace
        local = locate(workspace, recipe.judge)
        model: Any = load_model(local, device=recipe.device, precision=recipe.precision)
        # Of a model that was on the hub only, this is known now.
        refuse_judge(recipe.judge, model.contract.kind)
        self._model = with_cache(model, local, workspace, recipe.use_cache)
        self._exam = data

    def score(self, queries: Rows, documents: Rows) -> NDArray[np.float64]:
        """(m,) scores of the pairs, higher is better."""
        if not len(queries):
            return np.zeros(0)
        asked, places = np.unique(queries, return_inverse=True)
        texts = [self._exam.query(row)[1] for row in asked.tolist()]
        scores = score_rows(
            as_scorer(self._model),
            texts,
            reading(self._exam.reader),
            places,
            documents,
            stop=self._exam.context.check_cancelled,
        )
        return np.asarray(scores, np.float64)


def refuse_judge(name: str, kind: str | None) -> None:
    """Raise :class:`BadInput` for what cannot compare texts; None is not known yet."""
    hint = "Choose an embedding model or a reranker."
    if kind == BM25:
        raise BadInput("BM25 cannot judge.", hint)
    if kind in seeing():
        raise BadInput(
            f"'{name}' cannot judge: it compares texts with pictures, and negatives are texts.",
            hint,
        )
