"""Which engine computes an embedding model: forced, as it was decided before, or measured.
Imports torch: workers only.

Which is the fastest depends on the model and on the machine, so it is measured for both, for about
:data:`SECONDS`, on texts at hand, and kept in the home. An engine whose vectors are not within
:data:`LEAST_COSINE` of fp32's is not taken, however fast; nor is one that moves MAP by more than
:data:`MOST_MAP` where the data has judgments. What passes may stand beside vectors of another
engine, as one batch's stand beside another's.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from workbench.errors import JobCancelled
from workbench.models.engines import LONGEST_IN_GRAPH, MAKE, OpenVinoForward, Use, usable
from workbench.models.inference import least_cosine, spread
from workbench.models.precision import FP32, TORCH, Decision, forced, keep, kept, processor, told

log = logging.getLogger(__name__)

#: Between a text's vector and the same in fp32: the least that an engine may give.
LEAST_COSINE = 0.9995
#: Between the engine's MAP and fp32's, on judged queries at hand: the most.
MOST_MAP = 0.002
#: No further engine is measured after so long; beside other programs, after so much of the
#: machine's time, or so long by the clock.
SECONDS, _MOST_SECONDS = 10.0, 30.0
_NO_TIME = "there was no time left to try it"
#: So many texts at once are worth a measurement where none is kept.
WORTH = 2000
#: Whom another engine must beat by this much, so that noise does not decide.
_MARGIN = 1.05
#: A decision nearer than this, or made on a busy machine, is made again, so often in all.
_CLOSE, _MOST_TRIES = 1.15, 3
#: Where one text takes longer than this in fp32, measuring would take minutes; where it takes less
#: than that, there is nothing to gain.
_SLOWEST, _QUICKEST = 0.5, 0.002
#: Texts measured, and how often each engine gets them; the best of these counts.
_LEAST_TEXTS, _MOST_TEXTS, _ROUNDS = 8, 48, 3
_TEXTS_OF_CORE = 24
#: Documents that judged queries rank: so few are a fortieth of what is worth a measurement.
_LEAST_RANKED, _MOST_RANKED = 48, 300
#: What share of the machine others may take before processor time decides.
_BUSY = 0.1
#: Words of the longest text whose vectors are compared.
_LONGEST_TRIED = 512

_WORDS = (
    "which of the two methods finds more of the documents that people judged relevant when their "
    "words differ from those of the question and how long does one search take on this machine"
)

Stop = Callable[[], None]
#: The MAP of a model over some judged queries and at most so many documents, and how many these
#: were; None where none are judged.
Rank = Callable[[Any, int, Stop], tuple[float, int] | None]


@dataclass(eq=False)
class Engines:
    """One model's engine for one use.

    ``digest`` is that of the model's files. ``worth``: texts at once for which it is measured, None
    for never but in :meth:`decide`; where they are few, texts of usual lengths stand for them.
    ``tell`` gets the decision in sentences, ``rank`` is the data's own judgments.
    """

    home: Path
    digest: str
    name: str
    use: Use = "texts"
    worth: int | None = WORTH
    tell: Callable[[str], None] | None = None
    rank: Rank | None = None
    _chosen: Any = field(default=None, init=False)
    #: Whether nothing is left to be found out; until then what was decided before computes, or
    #: torch.
    settled: bool = field(default=False, init=False)
    _decision: Decision | None = field(default=None, init=False)
    _key: str = field(default="", init=False)
    _others: "dict[Use, Engines]" = field(default_factory=dict, init=False)

    def used(self, use: Use) -> "Engines":
        """The same model's for another use."""
        if use not in self._others:
            self._others[use] = Engines(self.home, self.digest, self.name, use, self.worth)
        return self._others[use]

    def of(self, loaded: Any, texts: Sequence[str], role: str, stop: Stop | None = None) -> Any:
        """The model as it shall encode these texts: itself, or computed by another engine. ``stop``
        is called before each part of a measurement, and may raise."""
        plain = replace(loaded, engines=None)
        many = self.worth is not None and len(texts) >= self.worth
        if not self.settled and (many or self._decision is None):
            self._settle(plain, texts if many else None, role, stop or (lambda: None))
        if self._chosen is None:
            return plain
        # A model may be used by several contracts, some of longer texts than a graph should read.
        graph = isinstance(self._chosen.model[0].model, OpenVinoForward)
        if graph and loaded.contract.longest > LONGEST_IN_GRAPH:
            return plain
        return self._chosen.with_contract(loaded.contract)

    def decide(self, loaded: Any, stop: Stop) -> None:
        """Measure now, on texts of usual lengths, what is not decided yet."""
        if not self.settled:
            role = "query" if self.use == "questions" else "document"
            self._settle(replace(loaded, engines=None), usual(self.use), role, stop)

    def _settle(self, loaded: Any, texts: Sequence[str] | None, role: str, stop: Stop) -> None:
        """``texts``: what may be measured, None for what was decided before or nothing."""
        wanted, candidates = forced(), usable(loaded)
        if wanted or candidates == [TORCH]:
            self.settled = True
            if wanted in candidates and wanted != TORCH:
                self._chosen = self._made(wanted, loaded)
            return
        self._key = self._key or _key(self.digest, self.use, loaded, candidates)
        before = self._decision
        known = before or kept(self.home).get(self._key)
        if texts is not None and (known is None or unsure(known)):
            known = self._measured(loaded, candidates, texts, role, stop, known)
        elif known is None:
            return
        elif known["engine"] in (*candidates, FP32):
            if before is None:
                self._chosen = self._made(known["engine"], loaded)
            if texts is not None and self._to_rank(known):
                known = self._ranked(loaded, known, stop)
        self._decision = known
        # Few texts, such as an evaluation's queries, use what was decided; the many documents
        # after them are still to be measured or ranked by.
        open_ = self.worth is not None and (unsure(known) or self._to_rank(known))
        self.settled = texts is not None or not open_
        if self.tell and known != before:
            self.tell(told(known))

    def _to_rank(self, known: Decision) -> bool:
        """Whether it is still to be held against the data's judgments."""
        return self.rank is not None and "map" not in known

    def _measured(
        self,
        loaded: Any,
        candidates: Sequence[str],
        texts: Sequence[str],
        role: str,
        stop: Stop,
        before: Decision | None,
    ) -> Decision:
        # The engine from before gives its memory back to those that are tried.
        self._chosen = self._decision = None
        enough = texts if len(texts) >= _MOST_TEXTS else usual(self.use)
        found, self._chosen = measure(loaded, candidates, enough, role, self.use, stop, self.rank)
        tries = before.get("tries", 1) + 1 if before else 1
        about = {"model": self.name, "use": self.use, "tries": tries, "at": time.time()}
        return self._kept({**about, **found})

    def _ranked(self, loaded: Any, known: Decision, stop: Stop) -> Decision:
        """A decision from a time without judgments, with what these say of it."""
        assert self.rank is not None
        if self._chosen is None:
            return known
        engine, each = known["engine"], known["seconds"].get(TORCH, 0.0)
        about = ranks(self.rank, replace(loaded, precision="fp32"), each, stop)
        if about is None:
            return known
        known = {**known, "refused": {**known["refused"]}, "map": {}, "ranked": about.documents}
        if why := about.against(engine, self._chosen, known["map"]):
            known["refused"][engine] = why
            known["engine"], self._chosen = FP32, replace(loaded, precision="fp32")
        return self._kept(known)

    def _kept(self, known: Decision) -> Decision:
        keep(self.home, self._key, known)
        log.warning("%s", told(known))
        return known

    def _made(self, name: str, loaded: Any) -> Any:
        if name == TORCH:
            return None
        try:
            return MAKE[name](loaded, self.use)
        except Exception as error:  # noqa: BLE001 - whatever a library says, torch can do it
            log.warning(
                "'%s' is computed by torch, as %s cannot: %s", self.name, name, _said(error)
            )
            return None


def unsure(known: Decision) -> bool:
    """Whether it was close or made on a busy machine, and may be made again."""
    costs = sorted(known["cpu" if busy(known) else "seconds"].values())
    if not costs or known.get("tries", 1) >= _MOST_TRIES:
        return False
    late = _NO_TIME in known["refused"].values()
    return late or busy(known) or (len(costs) > 1 and costs[1] < costs[0] * _CLOSE)


def busy(known: Decision) -> bool:
    """Whether other programs ran beside it, so that the clock says when they let go."""
    return float(known.get("others", 0.0)) > _BUSY


def measure(
    loaded: Any,
    candidates: Sequence[str],
    texts: Sequence[str],
    role: str,
    use: Use,
    stop: Stop = lambda: None,
    rank: Rank | None = None,
) -> tuple[Decision, Any]:
    """The fastest engine that is near enough to fp32: 'engine'; by engine 'seconds' a text by the
    clock, 'cpu' the same of processor time, by which they are compared while 'others' take their
    share of the machine, 'cosine', the least, and 'map', how far from fp32's over 'ranked'
    documents; what could not be has its reason in 'refused'. And the model computed by it, None for
    torch as it is. ``stop`` may raise, and then nothing is found."""
    late = _deadline(loaded.device == "cpu")
    exact = replace(loaded, precision="fp32")
    exact.encode(texts[:1], role)
    # One of usual length and the longest; while other programs run, the clock says too much.
    few = spread(texts, 3)[1:] or list(texts[:1])
    each = min(_timed(exact, few, role)) / len(few)
    found: Decision = {"engine": TORCH, "seconds": {}, "cpu": {}, "cosine": {}, "refused": {}}
    if not _QUICKEST < each < _SLOWEST:
        why = "the model is too large to try" if each > _SLOWEST else "the model is small enough"
        found["refused"] = dict.fromkeys(candidates[1:], why)
        return found, None
    count = int(np.clip(SECONDS / 10 / max(each, 1e-4), _LEAST_TEXTS, _MOST_TEXTS))
    sample = spread(texts, count)
    ready: dict[str, Any] = {}
    # As near has to be what is longer than all of these.
    asked = [*sample, longest(loaded)] if use == "texts" else sample
    reference = exact.encode(asked, role)
    for name in candidates:
        stop()
        if name != TORCH and late():
            found["refused"][name] = _NO_TIME
            continue
        try:
            made = MAKE[name](loaded, use)
            cosine = least_cosine(made.encode(asked, role), reference)
        except Exception as error:  # noqa: BLE001 - whatever a library says, torch can do it
            found["refused"][name] = _said(error)
            continue
        found["cosine"][name] = cosine
        if cosine < LEAST_COSINE:
            found["refused"][name] = f"its least cosine to fp32 is {cosine:.5f}"
        else:
            ready[name] = made
    # Enough for every core to have more than one batch, if that does not take too long.
    whole = _TEXTS_OF_CORE * torch.get_num_threads() if use == "texts" else 0
    times = max(1, int(min(whole, SECONDS / 5 / each) / len(sample)))
    found |= _in_turns(ready, sample * times, role, use, late, stop)
    # A GPU's work the clock says all the same.
    by_cpu = loaded.device == "cpu" and busy(found)
    costs = found["cpu" if by_cpu else "seconds"]
    stop()
    judged = ranks(rank, exact, each, stop) if rank and ready else None
    if judged:
        found |= {"map": {}, "ranked": judged.documents}
    for name in _best_first(costs):
        why = judged.against(name, ready[name], found["map"]) if judged else ""
        if not why:
            return found | {"engine": name}, None if name == TORCH else ready[name]
        found["refused"][name] = why
    return found | {"engine": FP32}, exact


def _deadline(on_cpu: bool) -> Callable[[], bool]:
    """Whether it has taken long enough, from now on."""
    clock, cpu = time.monotonic(), time.process_time()

    def late() -> bool:
        passed = time.monotonic() - clock
        had = (time.process_time() - cpu) / torch.get_num_threads() if on_cpu else passed
        return passed > _MOST_SECONDS or had > SECONDS

    return late


def _best_first(costs: dict[str, float]) -> list[str]:
    """Names of engines; torch as it is goes before those that are hardly faster."""
    return sorted(costs, key=lambda name: costs[name] / (_MARGIN if name == TORCH else 1))


def _in_turns(
    ready: dict[str, Any],
    texts: list[str],
    role: str,
    use: Use,
    late: Callable[[], bool],
    stop: Stop,
) -> Decision:
    """'seconds' and 'cpu' a text by engine, the best of some rounds, and the share of 'others'."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ready}
    before = (_worked(), time.process_time(), time.perf_counter())
    for turn in range(_ROUNDS):
        if turn and late():
            break
        for name, made in ready.items():
            stop()
            took[name].append(_one_by_one(made, texts, role, use))
    everyone, mine, clock = (
        now - then
        for now, then in zip(
            (_worked(), time.process_time(), time.perf_counter()), before, strict=True
        )
    )
    return {
        "seconds": {name: min(one for one, _ in all_) / len(texts) for name, all_ in took.items()},
        "cpu": {name: min(one for _, one in all_) / len(texts) for name, all_ in took.items()},
        "others": max(0.0, everyone - mine) / max(clock, 1e-9) / (os.cpu_count() or 1),
    }


@dataclass(frozen=True, slots=True)
class Ranked:
    """What judged queries find by fp32's vectors: MAP over so many documents, of ``most``."""

    rank: Rank
    most: int
    stop: Stop
    value: float
    documents: int

    def against(self, name: str, made: Any, changes: dict[str, float]) -> str:
        """Why this engine is not taken, '' where it may be; its change of MAP goes to
        ``changes``."""
        try:
            found = self.rank(made, self.most, self.stop)
        except JobCancelled:
            raise
        except Exception as error:  # noqa: BLE001 - as where it is made: another engine can do it
            return _said(error)
        changes[name] = abs((found[0] if found else self.value) - self.value)
        # Of the last digits' noise nobody is refused.
        if changes[name] <= MOST_MAP + 1e-9:
            return ""
        return f"it moves MAP by {changes[name]:.4f}"


def ranks(rank: Rank, exact: Any, each: float, stop: Stop) -> Ranked | None:
    """How fp32 ranks what can be encoded in some seconds at ``each`` a document; None where
    nothing is judged."""
    most = int(np.clip(SECONDS / 2 / max(each, 1e-4), _LEAST_RANKED, _MOST_RANKED))
    found = rank(exact, most, stop)
    return Ranked(rank, most, stop, *found) if found else None


def _worked() -> float:
    """Seconds of processor time that all programs have taken."""
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "nice", 0.0))


def _one_by_one(loaded: Any, texts: list[str], role: str, use: Use) -> tuple[float, float]:
    """Seconds for all texts, at once or each alone: by the clock, and of processor time."""
    if use == "texts":
        return _timed(loaded, texts, role)
    clock, cpu = zip(*(_timed(loaded, [text], role) for text in texts), strict=True)
    return sum(clock), sum(cpu)


def _timed(loaded: Any, texts: Sequence[str], role: str) -> tuple[float, float]:
    clock, cpu = time.perf_counter(), time.process_time()
    loaded.encode(list(texts), role)
    return time.perf_counter() - clock, time.process_time() - cpu


def usual(use: Use) -> list[str]:
    """Texts of usual lengths: questions of 3 to 25 words, or texts of 5 to 200."""
    words = _WORDS.split()
    lengths = np.geomspace(*((3, 25) if use == "questions" else (5, 200)), _MOST_TEXTS).astype(int)
    return [" ".join((words * 6)[at : at + length]) for at, length in enumerate(lengths.tolist())]


def longest(loaded: Any) -> str:
    """A text as long as the model reads, or of some hundred words where it reads more."""
    words = _WORDS.split()
    count = min(loaded.contract.longest, _LONGEST_TRIED)
    return " ".join((words * (count // len(words) + 1))[:count])


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _key(digest: str, use: Use, loaded: Any, candidates: Sequence[str]) -> str:
    about = {
        "model": digest,
        "among": list(candidates),
        "use": use,
        "precision": loaded.precision,
        "device": loaded.device.partition(":")[0],
        "machine": [processor(), torch.get_num_threads()],
        "versions": [_version(one) for one in ("torch", "transformers", "openvino")],
    }
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
