"""Takes the look at the data: one pass of the base over a person's own queries. Torch-free: the
encoder comes loaded.

Lengths cost: a pass at 512 tokens takes four times one at 128. So a large pool is searched at the
contract's own length, and others are tried on a part of it first; one that is not ahead there is
left at that (successive halving: Jamieson & Talwalkar, AISTATS 2016). A passage of 100 tokens is
the same to a model that reads 128, 256 or 512 of them: only those that are cut otherwise are
encoded anew.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from workbench.auto.look import FORMAT, Look, Trial, margin, serving_length
from workbench.auto.look_pool import (
    RELEVANT,
    Ground,
    bm25_negatives,
    ground,
    hardest,
    mined_negatives,
    sampled,
)
from workbench.auto.readable import Counts, Texts
from workbench.comparison.names import HEADLINE
from workbench.data.reader import DatasetReader
from workbench.data_check.lengths import TokenCounter, counter_of
from workbench.evaluation.bm25 import retrieve_bm25
from workbench.evaluation.cached import deciding, weights_digest
from workbench.evaluation.exact_search import Run
from workbench.evaluation.measure import (
    Encoder,
    Measured,
    Progress,
    Stop,
    device_of,
    measure,
    score,
)
from workbench.evaluation.own_document import AUTO
from workbench.evaluation.pool import Pool, over_documents
from workbench.models.contract import Contract
from workbench.models.resolve import ResolvedModel
from workbench.workspace import Workspace

# An encoder that reads no text twice while several lengths are tried.
#
# A passage of 100 tokens is the same to a model that reads 128, 256 or 512 of them: only those
# that are cut otherwise are encoded anew. Queries are the same at every length of passages.

Vectors = NDArray[np.float32]


class AtLengths(Encoder, Protocol):
    """An encoder that can be used at another length."""

    def with_contract(self, contract: Contract) -> Any:
        """The same model, used otherwise."""
        ...


@dataclass
class Memory:
    """What was encoded, by role, text and how many tokens of it were read."""

    counter: TokenCounter | None
    vectors: dict[tuple[str, str, int], NDArray[np.float32]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)

    def read(self, texts: list[str], prompt: str, length: int) -> list[int]:
        """How many tokens of each document are read at a length."""
        if self.counter is None:
            return [length] * len(texts)
        fresh = [text for text in dict.fromkeys(texts) if text not in self.tokens]
        counts = self.counter.count([prompt + text for text in fresh])
        self.tokens.update(zip(fresh, counts, strict=True))
        return [min(length, self.tokens[text]) for text in texts]


@dataclass(frozen=True)
class ReadingOnce:
    """The encoder with a memory that its other lengths share."""

    encoder: AtLengths
    memory: Memory

    @property
    def contract(self) -> Contract:
        return self.encoder.contract

    @property
    def device(self) -> str:
        return device_of(self.encoder)

    def at(self, length: int) -> "ReadingOnce":
        """The same with passages cut at a length."""
        contract = self.contract.model_copy(update={"passage_max_len": length})
        return ReadingOnce(self.encoder.with_contract(contract), self.memory)

    def encode(
        self,
        texts: list[str],
        role: Any,
        *,
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> Vectors:
        """As :meth:`workbench.evaluation.measure.Encoder.encode`."""
        known, contract = self.memory.vectors, self.contract
        read = [contract.query_max_len] * len(texts)
        if role != "query":
            read = self.memory.read(texts, contract.document_prompt, contract.passage_max_len)
        keys = [(str(role), text, length) for text, length in zip(texts, read, strict=True)]
        fresh = [key for key in dict.fromkeys(keys) if key not in known]
        before = len(texts) - len(fresh)

        def says(done: int, _total: int) -> None:
            if progress:
                progress(before + done, len(texts))

        if fresh:
            asked = [text for _, text, _ in fresh]
            found = self.encoder.encode(asked, role, progress=says, stop=stop)
            known.update(zip(fresh, found, strict=True))
        elif progress:
            progress(len(texts), len(texts))
        return np.stack([known[key] for key in keys])


Floats = NDArray[np.float64]
#: Gets what is done, what there is in all, and in a few words of what.
Says = Callable[[int, int, str], None]

#: Lengths of passages that are tried beside the contract's, as far as the model has positions.
#: Longer ones make every later search dearer: a person may ask for them.
LENGTHS = (128, 256, 512)
#: A length that cuts fewer of the documents than this makes no difference.
CUT = 0.05
#: Documents of the part on which lengths are tried, where the pool has more. They are not encoded
#: again where a length is measured on all of it.
PART = 300

#: Where looks are kept in the home, and how many.
FOLDER, KEPT = "cache/looks", 50


def taken(
    reader: DatasetReader,
    load: Callable[[], AtLengths],
    model: ResolvedModel,
    contract: Contract,
    *,
    home: Path,
    dataset_id: str,
    folder: Path,
    seed: int = 0,
    exclude: str = AUTO,
    progress: Says | None = None,
    stop: Stop | None = None,
) -> Look:
    """The look in the job's folder, else the one kept in the home of the same model, contract and
    version of the data, else a new one; afterwards it is in both.

    ``load`` is called for a new one alone. Raises as :func:`take`.
    """
    found = Look.read(folder)
    if found is not None:
        return found
    kept = kept_at(home, model, contract, dataset_id, reader.version, seed, exclude)
    found = Look.read(kept)
    if found is None:
        encoder = load().with_contract(contract)
        counter = counter_of(model)
        found = take(
            reader,
            encoder,
            counter=counter,
            seed=seed,
            exclude=exclude,
            progress=progress,
            stop=stop,
        )
        found.write(kept)
        _tidy(home / FOLDER)
    found.write(folder)
    return found


def kept_at(
    home: Path,
    model: ResolvedModel,
    contract: Contract,
    dataset_id: str,
    version: int,
    seed: int = 0,
    exclude: str = AUTO,
) -> Path:
    """Where a look is kept in the home, if it was taken. The model's files are read."""
    return home / FOLDER / _key(model, contract, dataset_id, version, seed, exclude)


def kept_look(
    workspace: Workspace, recipe: Any, reader: DatasetReader, model: ResolvedModel
) -> Look | None:
    """The look that a run of the recipe would find in the home; None where it has to take one.
    ``model``: its base."""
    # Telling which look is the model's takes reading its files.
    if model.contract is None or not (workspace.home / FOLDER).is_dir():
        return None
    kept = kept_at(
        workspace.home,
        model,
        model.contract,
        workspace.datasets.get(recipe.dataset).id,
        reader.version,
        recipe.seed,
        recipe.exclude_query_document,
    )
    return Look.read(kept)


def _key(
    model: ResolvedModel, contract: Contract, dataset_id: str, version: int, seed: int, exclude: str
) -> str:
    """A digest of all that decides what a look finds."""
    about = {
        "format": FORMAT,
        "weights": weights_digest(model),
        "contract": [deciding(contract, role) for role in ("query", "document")],
        "dataset": [dataset_id, version],
        "seed": seed,
        "exclude": exclude,
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]


def _tidy(folder: Path) -> None:
    """The oldest go where there are many. Another job may do the same at the same time."""
    times = dict[Path, float]()
    for one in folder.iterdir():
        with suppress(FileNotFoundError):
            times[one] = one.stat().st_mtime
    for one in sorted(times, key=lambda one: -times[one])[KEPT:]:
        shutil.rmtree(one, ignore_errors=True)


def take(
    reader: DatasetReader,
    encoder: AtLengths,
    *,
    counter: tuple[TokenCounter, int] | None,
    seed: int = 0,
    exclude: str = AUTO,
    progress: Says | None = None,
    stop: Stop | None = None,
) -> Look:
    """A new look with the base as it is loaded.

    ``counter``: what counts the model's tokens and the most it has positions for
    (:func:`counter_of`); None where its tokenizer has no file. ``stop`` may raise, and what it
    raises is raised; else :class:`BadInput` where train and dev have no judged query.
    """
    says = progress or (lambda _done, _total, _what: None)
    contract = encoder.contract
    texts = Texts.of(reader, contract, counter)
    mean = texts.mean_cut_at(contract.passage_max_len)

    def bm25_says(done: int, total: int) -> None:
        says(done, total, "BM25 on the documents")

    where = ground(reader, mean, seed=seed, exclude=exclude, progress=bm25_says, stop=stop)
    once = ReadingOnce(encoder, Memory(counter[0] if counter else None))
    base = _Base(once, where, seed, exclude, says, stop)
    lengths = lengths_worth_trying(contract.passage_max_len, texts.positions, texts.counts)
    measured, trials = base.compared(lengths)
    relevant = where.asked.some(where.places).relevant()
    found = Look(
        own=contract.passage_max_len,
        queries=where.pool.queries,
        clusters=where.clusters,
        values={length: one.scores.values[HEADLINE] for length, one in measured.items()},
        bm25=_bm25(where, stop),
        mined={},
        words=bm25_negatives(where),
        rows=where.documents,
        corpus=int(reader.counts["documents"]),
        positives=np.array([len(one) for one in relevant], np.int64),
        query_tokens=texts.queries,
        document_tokens=texts.documents,
        language=texts.language,
        trials=trials,
    )
    # As the base ranks at the length that is served.
    ranked = measured[int(serving_length(found).value)].run
    return replace(found, mined=mined_negatives(where, ranked))


def lengths_worth_trying(own: int, positions: int, counts: Counts | None) -> list[int]:
    """The lengths beside the contract's ``own`` that would cut documents otherwise: at least
    :data:`CUT` of them, compared with the next length. ``counts`` (n,): tokens of documents, None
    where they are not known."""

    def cut(length: int) -> float:
        return 1.0 if counts is None else float((counts > length).mean())

    shorter = [one for one in LENGTHS if one < own and cut(one) >= CUT]
    longer: list[int] = []
    for one in LENGTHS:
        if own < one <= positions and cut(longer[-1] if longer else own) >= CUT:
            longer.append(one)
    return [*shorter, *longer]


@dataclass(frozen=True)
class _Base:
    """The base on a ground."""

    encoder: ReadingOnce
    where: Ground
    seed: int
    exclude: str
    says: Says
    stop: Stop | None

    def measured(self, length: int, pool: Pool) -> Measured:
        """The base over a pool with passages cut at a length."""

        def says(done: int, total: int) -> None:
            self.says(done, total, f"The base at {length} tokens")

        return measure(self.encoder.at(length), pool, progress=says, stop=self.stop)

    def compared(self, lengths: Sequence[int]) -> tuple[dict[int, Measured], dict[int, Trial]]:
        """The base at the contract's own length and at those that may be better, and what the
        others were on a part of the pool.

        ``lengths``: shorter ones before longer ones, each ascending. Longer ones are dear: they are
        not tried where a shorter one is ahead, nor beyond one that is not ahead itself.
        """
        own = self.encoder.contract.passage_max_len
        found = {own: self.measured(own, self.where.pool)}
        first = found[own].scores.values[HEADLINE]
        trials, ahead = dict[int, Trial](), dict[int, bool]()
        part = self._part() if lengths and len(self.where.documents) > PART else None
        for length in lengths:
            shorter_is = any(won for one, won in ahead.items() if one < own)
            longer_is_not = any(not won for one, won in ahead.items() if one > own)
            if length > own and (shorter_is or longer_is_not):
                continue
            trial = self._trial(length, part) if part else None
            gain = trial.map - trial.own if trial else 0.0
            if trial is None or gain >= margin(own, length):
                found[length] = self.measured(length, self.where.pool)
                gain = float((found[length].scores.values[HEADLINE] - first).mean())
            else:
                trials[length] = trial
            ahead[length] = gain >= margin(own, length)
        return found, trials

    def _trial(self, length: int, part: Pool) -> Trial:
        own = self._map(self.encoder.contract.passage_max_len, part)
        return Trial(self._map(length, part), own, len(part.queries), part.documents)

    def _map(self, length: int, part: Pool) -> float:
        return float(self.measured(length, part).scores.values[HEADLINE].mean())

    def _part(self) -> Pool:
        """Some of the queries, their relevant documents, and what BM25 finds for them: what the
        base finds at one length would be hard for that one."""
        where = self.where
        some = where.asked.some(where.places)
        places = sampled(some, len(where.places), int(RELEVANT * PART), self.seed)
        ranked = where.bm25.documents[where.places[places]]
        inside = np.where(np.isin(ranked, where.documents), ranked, -1)
        few = some.some(places)
        chosen = hardest(few, inside, PART)
        reader = where.asked.reader
        return over_documents(reader, few.table, few.judgments, chosen, self.exclude)


def _bm25(where: Ground, stop: Stop | None) -> Floats:
    """(n,) AP of BM25 over the pool's documents."""
    if where.whole:
        found = where.bm25
        run = Run(found.documents[where.places], found.scores[where.places])
    else:
        run = retrieve_bm25(where.pool, k=where.bm25.documents.shape[1], stop=stop)
    return score(where.pool, run).scores.values[HEADLINE]
