"""Which training rows share a batch, and how many batches an epoch has. Torch-free.

In-batch negatives take every other row's documents for wrong ones. So no batch holds two rows of
one query, nor a document that is judged relevant to the query of another row. Rows that may not
meet are dealt out like cards, one batch after the other: an epoch of n rows, of which at most g may
not meet each other, then has max(n / batch size, g) batches, and sees every row once. Where a few
queries have so many rows that batches would be far from full, an epoch has as many of these as fill
its batches, others each time, but at least half of all rows.
"""

import copy
import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Which training rows may not meet in a batch: rows of one query, and a row with a document that is
# relevant to another row's query.

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RowTexts:
    """Training rows as numbers that are equal where the texts are equal.

    ``queries`` is (n,); ``documents`` is (n, 1 + m), the positive first; ``relevant`` is (k, 2):
    query and a document judged relevant to it.
    """

    queries: Numbers
    documents: Numbers
    relevant: Numbers

    def __len__(self) -> int:
        return len(self.queries)

    @classmethod
    def unrelated(cls, count: int) -> "RowTexts":
        """Rows that may all meet: each is learnt from its own documents alone."""
        numbers = np.arange(count, dtype=np.int64)
        return cls(numbers, np.empty((count, 0), np.int64), np.empty((0, 2), np.int64))


@dataclass(frozen=True)
class Links:
    """What keeps rows apart: their query, and documents that one row uses and another row's query
    finds relevant."""

    queries: Numbers
    #: Each row's positive where other rows have it, too; else a number of its own.
    positives: Numbers
    #: Row -> such documents that it uses; query -> such documents that are relevant to it.
    uses: dict[int, list[int]] = field(repr=False)
    claims: dict[int, list[int]] = field(repr=False)
    #: (n,): whether a row has to be kept apart from any.
    bound: NDArray[np.bool_] = field(repr=False)

    @classmethod
    def of(cls, rows: RowTexts) -> "Links":
        count, width = rows.documents.shape
        users = np.repeat(np.arange(count), width)
        used = rows.documents.ravel()
        asked = rows.relevant[np.isin(rows.relevant[:, 0], rows.queries)]
        shared = _shared(used, rows.queries[users], asked[:, 1], asked[:, 0])
        meets, wants = np.isin(used, shared), np.isin(asked[:, 1], shared)
        uses = _lists(users[meets], used[meets])
        claims = _lists(asked[wants, 0], asked[wants, 1])
        _, inverse, counts = np.unique(rows.queries, return_inverse=True, return_counts=True)
        bound = counts[inverse] > 1
        bound[users[meets]] = True
        bound |= np.isin(rows.queries, asked[wants, 0])
        return cls(rows.queries, _positives(rows), uses, claims, bound)


def _positives(rows: RowTexts) -> Numbers:
    if rows.documents.shape[1] == 0:
        return np.arange(len(rows), dtype=np.int64)
    return rows.documents[:, 0]


def _shared(used: Numbers, users: Numbers, claimed: Numbers, claimers: Numbers) -> Numbers:
    """Documents that a row of one query uses and another query finds relevant."""
    both = np.intersect1d(used, claimed)
    documents = np.concatenate([used, claimed])
    queries = np.concatenate([users, claimers])
    keep = np.isin(documents, both)
    documents, queries = documents[keep], queries[keep]
    order = np.argsort(documents, kind="stable")
    documents, queries = documents[order], queries[order]
    found, starts = np.unique(documents, return_index=True)
    if not len(found):
        return found
    several = np.minimum.reduceat(queries, starts) != np.maximum.reduceat(queries, starts)
    return found[several]


def _lists(keys: Numbers, values: Numbers) -> dict[int, list[int]]:
    """Key -> its values, each once."""
    order = np.lexsort((values, keys))
    keys, values = keys[order], values[order]
    again = np.zeros(len(keys), bool)
    again[1:] = (keys[1:] == keys[:-1]) & (values[1:] == values[:-1])
    keys, values = keys[~again], values[~again]
    found, starts = np.unique(keys, return_index=True)
    ends = [*starts[1:].tolist(), len(values)]
    whole = values.tolist()
    return {
        key: whole[start:end]
        for key, start, end in zip(found.tolist(), starts.tolist(), ends, strict=False)
    }


#: So full are batches that rows of one query are spread over, as long as an epoch keeps so large a
#: share of all rows: one query with many documents would otherwise cost all others most of their
#: in-batch negatives.
_FULL = 0.75
_KEPT = 0.5
#: So large a share of the rows may a later epoch leave out besides, rather than have the batches
#: of the first one again.
_MISSED = 0.01
#: So many batches are tried for a row; one that fits in none of them gets into a further batch.
_TRIES = 200
#: Rows that fit in no batch are dealt out anew among themselves at most so often.
_ROUNDS = 20


@dataclass(frozen=True)
class Batching:
    """The batches of a run: the same for the same rows and seed, epoch by epoch.

    ``least`` is the fewest rows a batch can be learnt from: two where a row has nothing but the
    other rows' documents to be told from. ``devices`` take turns with the batches; ``across``:
    those of one turn hold each other's negatives, so they are made as one large batch and then
    split. Every device gets as many batches as the others, and as many rows in a turn where
    ``across`` says so. ``draws``: so many times the trainer has the rows, one time after the other,
    each with other negatives; epochs take turns with them.
    """

    rows: RowTexts
    size: int
    least: int = 1
    devices: int = 1
    across: bool = False
    seed: int = 0
    draws: int = 1

    def __len__(self) -> int:
        """Batches of an epoch, those of all devices together."""
        return len(self._first) * self._split

    @property
    def left_out(self) -> int:
        """Rows that the first epoch does not see; each epoch leaves out others where it can, about
        as many."""
        return len(self.rows) - sum(map(len, self._first))

    @property
    def largest(self) -> int:
        """Rows of the largest batch."""
        return max(map(len, self._first), default=0) // self._split

    def epoch(self, number: int) -> list[Numbers]:
        """The batches of an epoch, as numbers of the trainer's rows of its draw; with several
        devices, turn after turn."""
        found = self._first if number == 0 else self._again(number)
        random = np.random.default_rng((self.seed, number, 1))
        found = [random.permutation(batch) for batch in found]
        order = random.permutation(len(found))
        # Small batches come last; those of one turn are of about one size.
        order = order[np.argsort([-len(found[at]) for at in order], kind="stable")]
        first = number % self.draws * len(self.rows)
        return [part + first for at in order for part in np.split(found[at], self._split)]

    @property
    def _split(self) -> int:
        """How many devices share one of the batches that are made here."""
        return self.devices if self.across else 1

    @property
    def _smallest(self) -> int:
        return max(self.least, self._split)

    @cached_property
    def _links(self) -> "Links":
        return Links.of(self.rows)

    @cached_property
    def _first(self) -> list[Numbers]:
        rows = self._kept(0)
        count = self._count(rows)
        if count == 0:
            return []
        found, rest = self._dealt(rows, count, 0)
        for _ in range(_ROUNDS):
            if not len(rest):
                break
            more, rest = self._dealt(rest, self._count(rest, 1), 0)
            found += more
        return self._even(self._whole(found))

    def _again(self, number: int) -> list[Numbers]:
        """Another arrangement of as many batches, which may miss a few rows that fit into none;
        where chance finds none, the first one."""
        if not self._first:
            return []
        found, _ = self._dealt(self._kept(number), len(self._first), number)
        found = self._whole(found)
        seen = sum(map(len, found))
        enough = seen >= (1 - _MISSED) * (len(self.rows) - self.left_out)
        same = len(found) == len(self._first) and enough
        return found if same else self._first

    def _kept(self, number: int) -> Numbers:
        """The rows of an epoch: all, but of a query no more than fill its batches, and of a
        document no more than there are other rows to learn them with. Which ones is another choice
        in each epoch."""
        rows = np.arange(len(self.rows), dtype=np.int64)
        queries, positives = self.rows.queries, self._links.positives
        most = _of_query(_counts(queries), self.size * self._split, self._smallest)
        rows = _capped(rows, queries, most, self.seed, number)
        most = _fitting(_counts(positives[rows]), self._smallest)
        rows = _capped(rows, positives, most, self.seed, number)
        surplus = len(rows) % self._split
        if surplus:
            random = np.random.default_rng((self.seed, number, 2))
            rows = np.delete(rows, random.choice(len(rows), surplus, replace=False))
        return rows

    def _count(self, rows: Numbers, least: int | None = None) -> int:
        """Batches for these rows: by size, by the largest group, and a whole turn of devices."""
        if not len(rows):
            return 0
        largest = max(_largest(self.rows.queries[rows]), _largest(self._links.positives[rows]))
        count = max(-(-len(rows) // (self.size * self._split)), largest)
        turns = self.devices // self._split
        count = -(-count // turns) * turns
        most = len(rows) // (least or self._smallest)
        return min(count, most // turns * turns if most >= turns else most)

    def _dealt(self, rows: Numbers, count: int, number: int) -> tuple[list[Numbers], Numbers]:
        """``count`` batches of these rows, and the rows that fit in none."""
        random = np.random.default_rng((self.seed, number, len(rows)))
        room = _sizes(len(rows), count, self.size, self._split, self._smallest)
        table = _Table(self._links, room, random)
        rest = table.deal(rows)
        if len(rest):
            table.widen(self.size * self._split)
            rest = table.deal(rest)
        return table.batches(), rest

    def _whole(self, batches: list[Numbers]) -> list[Numbers]:
        """Batches that can be learnt from, and split among the devices where they are shared."""
        cut = [batch[: len(batch) // self._split * self._split] for batch in batches]
        return [batch for batch in cut if len(batch) >= self._smallest]

    def _even(self, batches: list[Numbers]) -> list[Numbers]:
        """As many batches for each device as for the others."""
        turns = self.devices // self._split
        batches = sorted(batches, key=len, reverse=True)
        while len(batches) % turns and len(batches[0]) >= 2 * self._smallest:
            large = batches.pop(0)
            batches += [large[: len(large) // 2], large[len(large) // 2 :]]
            batches.sort(key=len, reverse=True)
        return batches[: len(batches) // turns * turns]


def _largest(labels: Numbers) -> int:
    return int(np.unique(labels, return_counts=True)[1].max(initial=0))


def expected(queries: Numbers, positives: Numbers, size: int, least: int) -> tuple[int, int]:
    """About how many rows and batches an epoch has, from the query and the positive (n,) of each
    row: as :class:`Batching` makes them where no other document keeps rows apart."""
    asked, read = _counts(queries), _counts(positives)
    most = _of_query(asked, size, least), _fitting(read, least)
    rows = min(int(np.minimum(asked, most[0]).sum()), int(np.minimum(read, most[1]).sum()))
    largest = max(min(int(asked.max(initial=0)), most[0]), min(int(read.max(initial=0)), most[1]))
    return rows, max(-(-rows // size), largest)


def _counts(labels: Numbers) -> Numbers:
    return np.unique(labels, return_counts=True)[1].astype(np.int64)


def _of_query(counts: Numbers, size: int, least: int) -> int:
    """The most rows of one query that an epoch has, where its queries have ``counts``: as many as
    still leave batches full, unless fewer than half of all rows would be kept so."""
    full = max(least, math.ceil(_FULL * min(size, len(counts))))
    enough = _KEPT * counts.sum()
    too_few = _last(counts, lambda most: int(np.minimum(counts, most).sum()) < enough)
    return min(_fitting(counts, least), max(_fitting(counts, full), too_few + 1))


def _fitting(counts: Numbers, least: int) -> int:
    """The most rows of one label of which none is left over when batches of ``least`` rows are
    made, no two of one label in a batch. With ``least`` 1 these are all."""
    # c batches take at most c rows of a label, and need least * c rows in all.
    return _last(counts, lambda most: int(np.minimum(counts, most).sum()) >= least * most)


def _last(counts: Numbers, holds: Callable[[int], bool]) -> int:
    """The largest number up to the largest of ``counts`` for which ``holds`` does, as it does for
    all below it."""
    low, high = 0, int(counts.max(initial=0))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _capped(rows: Numbers, labels: Numbers, most: int, seed: int, number: int) -> Numbers:
    """The rows without those of a label that are more than ``most``."""
    _, inverse, counts = np.unique(labels[rows], return_inverse=True, return_counts=True)
    keep = np.ones(len(rows), bool)
    for label in np.flatnonzero(counts > most):
        places = np.random.default_rng((seed, int(label))).permutation(
            np.flatnonzero(inverse == label)
        )
        # The next so many in each epoch, so that in time all are seen.
        turn = np.arange(number * most, (number + 1) * most) % len(places)
        keep[places] = False
        keep[places[turn]] = True
    return rows[keep]


def _sizes(rows: int, count: int, size: int, split: int, least: int) -> list[int]:
    """How many rows each batch gets: full ones and a last one with the rest; or, where there are
    more batches than full ones would be, all about the same."""
    units, most, fewest = rows // split, size, -(-least // split)
    full = -(-units // most)
    if count != full or count == 1:
        each, more = divmod(units, count)
        sizes = [each + 1] * more + [each] * (count - more)
    else:
        rest = units - (count - 1) * most
        sizes = [most] * (count - 1) + [rest]
        missing = fewest - rest
        if missing > 0 and most - missing >= fewest:
            sizes[-2:] = [most - missing, fewest]
    return [min(one, most) * split for one in sizes]


class _Table:
    """Batches while rows are dealt out to them."""

    def __init__(self, links: Links, room: list[int], random: np.random.Generator) -> None:
        self.links = links
        self.room = room
        self.random = random
        self.held: list[list[int]] = [[] for _ in room]
        #: The next batch with room at or after each place; the last place stands for none.
        self.open = list(range(len(room) + 1))
        self.asked: dict[int, set[int]] = {}
        self.used: dict[int, set[int]] = {}
        self.claimed: dict[int, set[int]] = {}
        self.at = int(random.integers(len(room))) if room else 0

    def deal(self, rows: Numbers) -> Numbers:
        """Put rows into batches; returns those that fit in none."""
        bound = self.links.bound[rows]
        rest = [row for row in self._order(rows[bound]) if not self._put(row)]
        free = self.random.permutation(rows[~bound])
        places = self._places()
        taken = min(len(free), len(places))
        for place, row in zip(places[:taken].tolist(), free[:taken].tolist(), strict=True):
            self.held[place].append(row)
            self.room[place] -= 1
        return np.array([*rest, *free[taken:].tolist()], dtype=np.int64)

    def _places(self) -> Numbers:
        """Batches with room, once for each row they still take; those with the fewest rows first,
        so that all get about the same."""
        room = np.maximum(np.array(self.room, dtype=np.int64), 0)
        places = np.repeat(np.arange(len(room)), room)
        before = np.repeat(np.cumsum(room) - room, room)
        held = np.array([len(one) for one in self.held], dtype=np.int64)
        level = held[places] + np.arange(len(places)) - before
        return places[np.argsort(level, kind="stable")]

    def widen(self, most: int) -> None:
        """Let each batch take up to ``most`` rows."""
        self.room = [most - len(held) for held in self.held]
        self.open = list(range(len(self.room) + 1))

    def batches(self) -> list[Numbers]:
        return [np.array(held, dtype=np.int64) for held in self.held if held]

    def _order(self, rows: Numbers) -> Iterator[int]:
        """Rows of one query, or of one relevant document, one after the other: the next batch is
        then always free for the next row. Groups that need most of the batches come first."""
        queries, positives = self.links.queries[rows], self.links.positives[rows]
        _, by_query, query_counts = np.unique(queries, return_inverse=True, return_counts=True)
        _, by_positive, counts = np.unique(positives, return_inverse=True, return_counts=True)
        same_query, same_positive = query_counts[by_query], counts[by_positive]
        group = np.where(same_query >= same_positive, by_query, len(query_counts) + by_positive)
        size = np.maximum(same_query, same_positive)
        large = np.where(size > len(self.room) // 2, size, 0)
        chance = self.random.permutation(len(query_counts) + len(counts))[group]
        order = np.lexsort((self.random.permutation(len(rows)), chance, -large))
        yield from rows[order].tolist()

    def _put(self, row: int) -> bool:
        query = int(self.links.queries[row])
        uses, claims = self.links.uses.get(row, ()), self.links.claims.get(query, ())
        barred: list[set[int]] = [self.asked.setdefault(query, set())]
        barred += [self.used[one] for one in claims if one in self.used]
        barred += [self.claimed[one] for one in uses if one in self.claimed]
        place = self._free_of(barred)
        if place is None:
            return False
        self.held[place].append(row)
        self.room[place] -= 1
        self.at = place + 1
        self.asked[query].add(place)
        for one in uses:
            self.used.setdefault(one, set()).add(place)
        for one in claims:
            self.claimed.setdefault(one, set()).add(place)
        return True

    def _free_of(self, barred: list[set[int]]) -> int | None:
        """The next batch with room that is in none of the sets."""
        last = len(self.room)
        if any(len(one) == last for one in barred):
            return None
        place = self._next(min(self.at, last))
        start, wrapped = place, False
        for _ in range(_TRIES):
            if place == last:
                if wrapped:
                    return None
                place, wrapped = self._next(0), True
                if place == last:
                    return None
            if wrapped and place >= start:
                return None
            if not any(place in one for one in barred):
                return place
            place = self._next(place + 1)
        return None

    def _next(self, place: int) -> int:
        """The first batch with room from ``place`` on, looked up by halving paths."""
        shut, room = self.open, self.room
        while place < len(room):
            if shut[place] != place:
                shut[place] = shut[shut[place]]
                place = shut[place]
            elif room[place] > 0:
                return place
            else:
                shut[place] = place + 1
                place += 1
        return place


# The next batches, made while the steps before them are taken.

#: What stands for a batch where there are no more.
_END = object()


class Ahead:
    """Goes through ``source``, ``many`` of its items ahead, which ``thread`` makes in order."""

    def __init__(self, source: Iterator[Any], thread: Executor, many: int) -> None:
        self.source = source
        self._thread = thread
        self._made = deque(thread.submit(next, source, _END) for _ in range(many))

    def __iter__(self) -> "Ahead":
        return self

    def __next__(self) -> Any:
        found = self._made.popleft().result()
        self._made.append(self._thread.submit(next, self.source, _END))
        if found is _END:
            raise StopIteration
        return found


def with_own_tokenizer(model: Any) -> Any:
    """The same model, weights and all, for a thread that makes batches: reading texts changes how
    a tokenizer truncates, and dev, or a loss, reads others meanwhile."""
    inner = getattr(model[0], "model", None)
    shared = (*model.parameters(), *model.buffers(), model.model_card_data, inner)
    return copy.deepcopy(model, {id(one): one for one in shared if one is not None})
