"""Which engine computes an embedding model: forced, as it was decided before, or measured.
Imports torch: workers only.

Which is the fastest depends on the model and on the machine, so it is measured for both, for about
:data:`SECONDS`, on texts at hand, and kept in the home. An engine whose vectors are not within
:data:`LEAST_COSINE` of fp32's is not taken, however fast; nor is one that moves MAP by more than
:data:`MOST_MAP` where the data has judgments. Vectors of engines within these bounds may be mixed,
as those of one batch are with another's.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from workbench.errors import JobCancelled
from workbench.models.engines import (
    LONGEST_IN_GRAPH,
    MAKE,
    OpenVinoForward,
    Use,
    longest,
    usable,
    usual,
)
from workbench.models.inference import Stop, Vectors, least_cosine, spread
from workbench.models.precision import (
    FP32,
    TORCH,
    Decision,
    busy,
    costs_of,
    forced,
    keep,
    kept,
    processor,
    seconds_of,
    told,
)

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

#: An engine's name -> the model computed by it.
Make = Callable[[str], Any]
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
            about = (self.home, self.digest, self.name)
            self._others[use] = Engines(*about, use, self.worth, self.tell)
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
                self._force(wanted, loaded)
            return
        self._key = self._key or _key(self.digest, self.use, loaded, candidates)
        before = self._decision
        decision = before or kept(self.home).get(self._key)
        if texts is not None and (decision is None or self._again(decision)):
            decision = self._measured(loaded, candidates, texts, role, stop, decision)
        elif decision is None:
            return
        else:
            decision = before or self._taken(loaded, decision)
            if texts is not None and self._to_rank(loaded, decision):
                decision = self._ranked(loaded, decision, stop)
        self._decision = decision
        # Few texts, such as an evaluation's queries, use what was decided; the many documents
        # after them are still to be measured or ranked by.
        open_ = self._again(decision) or self._to_rank(loaded, decision)
        self.settled = texts is not None or self.worth is None or not open_
        if self.tell and decision != before:
            self.tell(told(decision))

    def _again(self, decision: Decision) -> bool:
        """Whether it may be made again. What judgments refused stays refused where there are none
        at hand."""
        return unsure(decision) and (self.rank is not None or "map" not in decision)

    def _to_rank(self, loaded: Any, decision: Decision) -> bool:
        """Whether it is still to be held against the data's judgments: not what is fp32 itself,
        nor a model so slow that ranking would take minutes."""
        exact = decision["engine"] == FP32 or _is_exact(decision["engine"], loaded)
        slow = seconds_of(decision) > _SLOWEST
        return self.rank is not None and "map" not in decision and not exact and not slow

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
        decision, self._chosen = measure(
            loaded, candidates, enough, role, self.use, stop, self.rank
        )
        tries = before.get("tries", 1) + 1 if before else 1
        decision.update({"model": self.name, "use": self.use, "tries": tries, "at": time.time()})
        return self._kept(decision)

    def _taken(self, loaded: Any, decision: Decision) -> Decision:
        """Have it computed as it was decided, or by the next best where that no longer works: the
        decision as it then stands."""
        decision = {**decision, "refused": {**decision["refused"]}}
        engine = decision["engine"]
        self._chosen = _first(_in_order(decision), self._maker(loaded), loaded, None, decision)
        if decision["engine"] != engine:
            log.warning("%s", told(decision))
        return decision

    def _ranked(self, loaded: Any, decision: Decision, stop: Stop) -> Decision:
        """A decision from a time without judgments, with what these say of it; the next best
        engine where they refuse it."""
        assert self.rank is not None
        judge = Judge.of(self.rank, loaded, seconds_of(decision), stop)
        if judge.exact is None:
            return decision
        decision = {**decision, "refused": {**decision["refused"]}}
        make = self._maker(loaded, decision["engine"])
        self._chosen = _first(_in_order(decision), make, loaded, judge, decision)
        return self._kept(decision)

    def _maker(self, loaded: Any, ready: str = "") -> Make:
        """What makes an engine's model, each once; that of the engine ``ready`` is there."""

        @cache
        def make(name: str) -> Any:
            if name == ready:
                return self._chosen or loaded
            return MAKE[name](loaded, self.use)

        return make

    def _kept(self, decision: Decision) -> Decision:
        keep(self.home, self._key, decision)
        log.warning("%s", told(decision))
        return decision

    def _force(self, wanted: str, loaded: Any) -> None:
        try:
            self._chosen = MAKE[wanted](loaded, self.use)
        except Exception as error:  # noqa: BLE001 - whatever a library says, torch can do it
            why = _said(error)
            log.warning("'%s' is computed by torch, as %s cannot: %s", self.name, wanted, why)


def unsure(decision: Decision) -> bool:
    """Whether it was close or made on a busy machine, and may be made again."""
    costs = sorted(costs_of(decision).values())
    if not costs or decision.get("tries", 1) >= _MOST_TRIES:
        return False
    late = _NO_TIME in decision["refused"].values()
    return late or busy(decision) or (len(costs) > 1 and costs[1] < costs[0] * _CLOSE)


def _is_exact(name: str, loaded: Any) -> bool:
    """Whether torch, as the model was loaded, computes in fp32."""
    return bool(name == TORCH and loaded.precision == "fp32")


def measure(
    loaded: Any,
    candidates: Sequence[str],
    texts: Sequence[str],
    role: str,
    use: Use,
    stop: Stop = lambda: None,
    rank: Rank | None = None,
) -> tuple[Decision, Any]:
    """The fastest engine that is near enough to fp32, with what was measured for it; and the model
    computed by it, None where torch computes it as it was loaded. ``stop`` may raise, and then
    nothing is decided."""
    late = _deadline(loaded.device == "cpu")
    exact = replace(loaded, precision="fp32")
    exact.encode(texts[:1], role)
    # One of usual length and the longest; while other programs run, the clock says too much.
    few = spread(texts, 3)[1:] or list(texts[:1])
    reference, took = _timed(exact, few, role)
    each = min(took) / len(few)
    decision: Decision = {"engine": TORCH, "each": each, "seconds": {}, "cpu": {}}
    decision.update({"cosine": {}, "refused": {}})
    trial = _Trial(loaded, role, use, late, stop, decision)
    if _QUICKEST < each < _SLOWEST:
        ready = trial.race(candidates, texts)
    else:
        why = "the model is too large to try" if each > _SLOWEST else "the model is small enough"
        decision["refused"] = dict.fromkeys(candidates[1:], why)
        near = _is_exact(TORCH, loaded) or trial.nears(TORCH, loaded, few, reference)
        ready = {TORCH: loaded} if near else {}
    stop()
    names = _best_first(costs_of(decision, loaded.device)) or list(ready)
    # Ranking with a model that is too large would take minutes.
    ranks = names and each < _SLOWEST and not _is_exact(names[0], loaded)
    judge = Judge.of(rank, loaded, each, stop) if rank and ranks else None
    return decision, _first(names, ready.__getitem__, loaded, judge, decision)


@dataclass(frozen=True, slots=True)
class _Trial:
    """The engines of a model, measured for one use; the decision gets what is found."""

    loaded: Any
    role: str
    use: Use
    late: Callable[[], bool]
    stop: Stop
    decision: Decision

    def race(self, candidates: Sequence[str], texts: Sequence[str]) -> dict[str, Any]:
        """The model by each engine that is near enough to fp32, all of them timed."""
        each = self.decision["each"]
        sample = spread(texts, int(np.clip(SECONDS / 10 / each, _LEAST_TEXTS, _MOST_TEXTS)))
        ready = self._ready(candidates, sample)
        # Enough for every core to have more than one batch, if that does not take too long.
        whole = _TEXTS_OF_CORE * torch.get_num_threads() if self.use == "texts" else 0
        times = max(1, int(min(whole, SECONDS / 5 / each) / len(sample)))
        self._in_turns(ready, sample * times)
        return ready

    def _ready(self, candidates: Sequence[str], sample: list[str]) -> dict[str, Any]:
        # As near has to be what is longer than all of these.
        asked = [*sample, longest(self.loaded)] if self.use == "texts" else sample
        reference = replace(self.loaded, precision="fp32").encode(asked, self.role)
        ready: dict[str, Any] = {}
        refused = self.decision["refused"]
        for name in candidates:
            self.stop()
            if name != TORCH and self.late():
                refused[name] = _NO_TIME
                continue
            try:
                made = MAKE[name](self.loaded, self.use)
                if self.nears(name, made, asked, reference):
                    ready[name] = made
            except Exception as error:  # noqa: BLE001 - whatever a library says, torch can do it
                refused[name] = _said(error)
        return ready

    def nears(self, name: str, made: Any, texts: list[str], reference: Vectors) -> bool:
        """Whether an engine's vectors are near enough to fp32's."""
        cosine = least_cosine(made.encode(texts, self.role), reference)
        self.decision["cosine"][name] = cosine
        if cosine < LEAST_COSINE:
            self.decision["refused"][name] = f"its least cosine to fp32 is {cosine:.5f}"
        return cosine >= LEAST_COSINE

    def _in_turns(self, ready: dict[str, Any], texts: list[str]) -> None:
        """The best of some rounds counts."""
        rounds: dict[str, list[tuple[float, float]]] = {name: [] for name in ready}
        before = _clocks()
        for turn in range(_ROUNDS):
            if turn and self.late():
                break
            for name, made in ready.items():
                self.stop()
                rounds[name].append(_one_by_one(made, texts, self.role, self.use))
        everyone, mine, clock = (end - begin for begin, end in zip(before, _clocks(), strict=True))
        for name, took in rounds.items():
            self.decision["seconds"][name] = min(one for one, _ in took) / len(texts)
            self.decision["cpu"][name] = min(one for _, one in took) / len(texts)
        others = max(0.0, everyone - mine) / max(clock, 1e-9) / (os.cpu_count() or 1)
        self.decision["others"] = others


def _clocks() -> tuple[float, float, float]:
    """Processor time of all programs and of this one, and the clock, in seconds."""
    return _worked(), time.process_time(), time.perf_counter()


def _in_order(decision: Decision) -> list[str]:
    """The decision's engine, and after it the others that could stand in for it, the best
    first."""
    names = dict.fromkeys([decision["engine"], *_best_first(costs_of(decision))])
    return [name for name in names if name not in decision["refused"]]


def _first(
    names: Sequence[str], make: Make, loaded: Any, judge: "Judge | None", decision: Decision
) -> Any:
    """The model by the first of these engines that works and that judgments do not refuse, by fp32
    where none is: that is the decision's engine now. None where torch computes it as it was
    loaded."""
    for name in names:
        try:
            made = make(name)
            why = judge.against(name, made, decision) if judge else ""
        except JobCancelled:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a library says, torch can do it
            why = _said(error)
        if not why:
            decision["engine"] = name
            return None if name == TORCH else made
        decision["refused"][name] = why
    decision["engine"] = FP32
    return replace(loaded, precision="fp32")


def _deadline(on_cpu: bool) -> Callable[[], bool]:
    """Whether it has taken long enough, from now on."""
    clock, cpu = time.monotonic(), time.process_time()

    def late() -> bool:
        passed = time.monotonic() - clock
        had = (time.process_time() - cpu) / torch.get_num_threads() if on_cpu else passed
        return passed > _MOST_SECONDS or had > SECONDS

    return late


def _best_first(costs: dict[str, float]) -> list[str]:
    """Names of engines; torch goes before those that are hardly faster."""
    return sorted(costs, key=lambda name: costs[name] / (_MARGIN if name == TORCH else 1))


@dataclass(frozen=True, slots=True)
class Judge:
    """Holds engines against the data's judgments: ``exact`` is fp32's MAP over at most so many
    documents, and how many these are; None where nothing is judged."""

    rank: Rank
    most: int
    stop: Stop
    exact: tuple[float, int] | None

    @classmethod
    def of(cls, rank: Rank, loaded: Any, each: float, stop: Stop) -> "Judge":
        """Over as many documents as fp32 encodes in some seconds at ``each`` a document."""
        most = int(np.clip(SECONDS / 2 / max(each, 1e-4), _LEAST_RANKED, _MOST_RANKED))
        return cls(rank, most, stop, rank(replace(loaded, precision="fp32"), most, stop))

    def against(self, name: str, made: Any, decision: Decision) -> str:
        """Why this engine is not taken, '' where it may be; its change of MAP goes to the
        decision."""
        if self.exact is None or _is_exact(name, made):
            return ""
        value, decision["ranked"] = self.exact
        found = self.rank(made, self.most, self.stop)
        change = abs((found[0] if found else value) - value)
        decision.setdefault("map", {})[name] = change
        # Of the last digits' noise nobody is refused.
        return "" if change <= MOST_MAP + 1e-9 else f"it moves MAP by {change:.4f}"


def _worked() -> float:
    """Seconds of processor time that all programs have taken."""
    times = psutil.cpu_times()
    return float(times.user + times.system + getattr(times, "nice", 0.0))


def _one_by_one(loaded: Any, texts: list[str], role: str, use: Use) -> tuple[float, float]:
    """Seconds for all texts, at once or each alone: by the clock, and of processor time."""
    if use == "texts":
        return _timed(loaded, texts, role)[1]
    took = (_timed(loaded, [text], role)[1] for text in texts)
    clock, cpu = zip(*took, strict=True)
    return sum(clock), sum(cpu)


def _timed(loaded: Any, texts: Sequence[str], role: str) -> tuple[Vectors, tuple[float, float]]:
    """The texts' vectors, and the seconds for them: by the clock, and of processor time."""
    clock, cpu = time.perf_counter(), time.process_time()
    vectors = loaded.encode(list(texts), role)
    return vectors, (time.perf_counter() - clock, time.process_time() - cpu)


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
