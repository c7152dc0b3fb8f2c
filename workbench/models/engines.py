"""What computes an embedding model's vectors: torch as it was loaded, torch over a copy of the
weights in bf16, or OpenVINO. Imports torch: workers only.

Which is the fastest depends on the model and on the machine, so it is measured once for both, for
:data:`SECONDS` at most, on texts at hand, and kept in the home. An engine whose vectors are not
within :data:`LEAST_COSINE` of fp32's is not taken, however fast; what passes may stand beside
vectors of another engine, as one batch's stand beside another's.
"""

import copy
import hashlib
import json
import logging
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
import psutil
import torch
from sentence_transformers.base.modules import Transformer

from workbench.errors import BadInput
from workbench.models.inference import least_cosine, spread
from workbench.models.precision import dtype_of, processor
from workbench.quantization.quantizers import export

log = logging.getLogger(__name__)

ENGINE_VARIABLE = "WORKBENCH_ENGINE"
TORCH, BF16_WEIGHTS, OPENVINO = "torch", "torch-bf16", "openvino"
ENGINES = (TORCH, BF16_WEIGHTS, OPENVINO)
#: Between a text's vector and the same in fp32: the least that an engine may give.
LEAST_COSINE = 0.9995
#: No further engine is measured after so long.
SECONDS = 10.0
#: So many texts at once are worth a measurement where none is kept.
WORTH = 2000
#: Whom another engine must beat by this much, so that noise does not decide.
_MARGIN = 1.05
#: Where one text takes longer than this in fp32, measuring would take minutes; where it takes less
#: than that, there is nothing to gain.
_SLOWEST, _QUICKEST = 0.5, 0.002
#: Texts measured, and how often each engine gets them; the best of these counts.
_LEAST_TEXTS, _MOST_TEXTS, _ROUNDS = 8, 48, 3
_TEXTS_OF_CORE = 24
#: What share of the machine others may take before processor time decides.
_BUSY = 0.1
#: Words of the longest text whose vectors are compared.
_LONGEST_TRIED = 512
#: An ONNX graph is one file of less than 2 GB; in it attention takes memory for each pair of a
#: text's tokens, which torch's does not.
_LARGEST_GRAPH, _LONGEST_IN_GRAPH = 1_900_000_000, 1024
FILE = "cache/engines.json"
_MOST_KEPT = 200

_WORDS = (
    "which of the two methods finds more of the documents that people judged relevant when their "
    "words differ from those of the question and how long does one search take on this machine"
)

#: 'texts': many at once. 'questions': one at a time, where its own time counts.
Use = Literal["texts", "questions"]


def _openvino() -> Any:
    """The library, without its package that reports each import to its maker: nothing here calls
    anyone unasked."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return import_module("openvino")


class OpenVinoForward(torch.nn.Module):
    """Stands where the transformer stood: the same inputs by name, the same output by name."""

    def __init__(self, transformer: Any, graph: Path, precision: str, use: Use) -> None:
        super().__init__()
        core = _openvino().Core()
        options = {
            "INFERENCE_PRECISION_HINT": "f32" if precision == "fp32" else precision,
            # A core for each of several batches waits less than all cores for one.
            "PERFORMANCE_HINT": "THROUGHPUT" if use == "texts" else "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        compiled = core.compile_model(core.read_model(str(graph)), "CPU", options)
        self.config = transformer.config
        self.workers = int(compiled.get_property("NUM_STREAMS")) if use == "texts" else 1
        self.inputs = [one.get_any_name() for one in compiled.inputs]
        self.output = compiled.outputs[0].get_any_name()
        #: Requests that compute nothing now; another thread waits for one.
        self._free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.workers):
            self._free.put(compiled.create_infer_request())

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def forward(self, **features: Any) -> dict[str, torch.Tensor]:
        given = {name: features[name].numpy() for name in self.inputs}
        request = self._free.get()
        try:
            found = request.infer(given, share_inputs=True)[0]
        finally:
            self._free.put(request)
        return {self.output: torch.from_numpy(found)}


class Bf16Forward(torch.nn.Module):
    """A copy of the transformer with weights in 16 bits, whose output is fp32 again: what comes
    behind it (pooling, a projection) is computed as ever. So are its buffers: frequencies of
    rotary positions in 16 bits would put a text's thousandth token several tokens off."""

    def __init__(self, transformer: torch.nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner = copy.deepcopy(transformer).eval()
        for weights in self.inner.parameters():
            weights.data = weights.data.to(dtype)
        self.config = transformer.config

    @property
    def device(self) -> torch.device:
        return next(self.inner.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def forward(self, **features: Any) -> dict[str, torch.Tensor]:
        found = self.inner(**features)
        return {
            name: value.float() if torch.is_tensor(value) else value
            for name, value in found.items()
        }


def with_forward(model: Any, forward: torch.nn.Module) -> Any:
    """The same sentence-transformers model, all else shared, computed by ``forward``."""
    first, whole = copy.copy(model[0]), copy.copy(model)
    first._modules = {**first._modules, "model": forward}
    name = next(iter(model._modules))
    whole._modules = {**whole._modules, name: first}
    # Once, and not around each batch: several threads may compute.
    return whole.eval()


def _by_bf16(loaded: Any, _use: Use) -> Any:
    forward = Bf16Forward(loaded.model[0].model, dtype_of(loaded.precision))
    return replace(loaded, model=with_forward(loaded.model, forward), precision="fp32")


def _by_openvino(loaded: Any, use: Use) -> Any:
    transformer = loaded.model[0].model
    with tempfile.TemporaryDirectory(prefix="graph-") as folder:
        graph = Path(folder) / "model.onnx"
        with _written_out(transformer):
            export(loaded.model, graph)
        forward = OpenVinoForward(transformer, graph, loaded.precision, use)
    model = with_forward(loaded.model, forward)
    return replace(loaded, model=model, precision="fp32", workers=forward.workers)


@contextmanager
def _written_out(transformer: Any) -> Iterator[None]:
    """While it lasts attention is computed step by step: as a graph that is 6% quicker than torch's
    own function, which is exported with checks for rows that attend to nothing."""
    before = transformer.config._attn_implementation
    transformer.set_attn_implementation("eager")
    try:
        with warnings.catch_warnings():
            # The tracer warns of every shape it looks at; whether the graph is right is measured.
            warnings.simplefilter("ignore")
            yield
    finally:
        transformer.set_attn_implementation(before)


_MAKE: dict[str, Callable[[Any, Use], Any]] = {
    TORCH: lambda loaded, _use: loaded,
    BF16_WEIGHTS: _by_bf16,
    OPENVINO: _by_openvino,
}


def usable(loaded: Any) -> list[str]:
    """The engines that could compute this model where it is; torch is one always.

    Others make a copy of fp32 weights, which must have room in memory.
    """
    model = loaded.model
    first = model[0]
    if loaded.contract.weights or not isinstance(first, Transformer):
        return [TORCH]
    weights = [one for one in first.parameters() if one.is_floating_point()]
    size = sum(one.nbytes for one in weights)
    if {one.dtype for one in weights} != {torch.float32} or loaded.precision == "fp16":
        return [TORCH]
    found = [TORCH]
    on_cpu = loaded.device == "cpu"
    room = not on_cpu or size < psutil.virtual_memory().available / 2
    if room and loaded.precision == "bf16":
        found.append(BF16_WEIGHTS)
    short = loaded.contract.longest <= _LONGEST_IN_GRAPH
    if room and on_cpu and short and size < _LARGEST_GRAPH:
        found.append(OPENVINO)
    return found


@dataclass
class Engines:
    """One model's engine: forced, as it was decided before, or measured now.

    ``digest`` is that of the model's files. ``worth``: texts at once for which it is measured;
    where they are few, texts of usual lengths stand for them.
    """

    home: Path
    digest: str
    name: str
    use: Use = "texts"
    worth: int = WORTH
    _chosen: Any = field(default=None, init=False)
    _settled: bool = field(default=False, init=False)
    _others: "dict[Use, Engines]" = field(default_factory=dict, init=False)

    def used(self, use: Use) -> "Engines":
        """The same model's for another use, measured at the first text."""
        if use not in self._others:
            self._others[use] = Engines(self.home, self.digest, self.name, use, worth=1)
        return self._others[use]

    def of(
        self, loaded: Any, texts: Sequence[str], role: str, stop: Callable[[], None] | None = None
    ) -> Any:
        """The model as it shall encode these texts: itself, or computed by another engine. ``stop``
        is called before each part of a measurement, and may raise."""
        plain = replace(loaded, engines=None)
        if not self._settled:
            self._settle(plain, texts, role, stop or (lambda: None))
        if self._chosen is None:
            return plain
        # A model may be used by several contracts, some of longer texts than a graph should read.
        graph = isinstance(self._chosen.model[0].model, OpenVinoForward)
        if graph and loaded.contract.longest > _LONGEST_IN_GRAPH:
            return plain
        return self._chosen.with_contract(loaded.contract)

    def _settle(
        self, loaded: Any, texts: Sequence[str], role: str, stop: Callable[[], None]
    ) -> None:
        wanted = forced()
        candidates = usable(loaded)
        if wanted == TORCH or candidates == [TORCH]:
            self._settled = True
            return
        if wanted is not None:
            self._settled = True
            self._chosen = self._made(wanted, loaded) if wanted in candidates else None
            return
        key = _key(self.digest, self.use, loaded, candidates)
        known = kept(self.home).get(key)
        if known is None:
            if len(texts) < self.worth:
                return
            enough = texts if len(texts) >= _MOST_TEXTS else usual(self.use)
            found, self._chosen = measure(loaded, candidates, enough, role, self.use, stop)
            known = {"model": self.name, **found}
            keep(self.home, key, known)
            log.warning("%s", told(known))
            self._settled = True
            return
        self._settled = True
        if known["engine"] in candidates and known["engine"] != TORCH:
            self._chosen = self._made(known["engine"], loaded)

    def _made(self, name: str, loaded: Any) -> Any:
        try:
            return _MAKE[name](loaded, self.use)
        except Exception as error:  # noqa: BLE001 - whatever a library says, torch can do it
            log.warning(
                "'%s' is computed by torch, as %s cannot: %s", self.name, name, _said(error)
            )
            return None


def forced() -> str | None:
    """The engine of ``WORKBENCH_ENGINE``, None for 'auto'; raises :class:`BadInput`."""
    wanted = os.environ.get(ENGINE_VARIABLE, "").strip() or "auto"
    if wanted == "auto":
        return None
    if wanted not in ENGINES:
        raise BadInput(
            f"{ENGINE_VARIABLE} is '{wanted}', which is no engine.",
            f"Set it to auto, {', '.join(ENGINES[:-1])} or {ENGINES[-1]}.",
        )
    return wanted


def measure(
    loaded: Any,
    candidates: Sequence[str],
    texts: Sequence[str],
    role: str,
    use: Use,
    stop: Callable[[], None] = lambda: None,
) -> tuple[dict[str, Any], Any]:
    """The fastest engine that is near enough to fp32: 'engine'; by engine 'seconds' a text by the
    clock, 'cpu' the same of processor time, by which they are compared while 'others' take their
    share of the machine, and 'cosine', the least; what could not be has its reason in 'refused'.
    And the model computed by it, None for torch. ``stop`` may raise, and then nothing is found."""
    end = time.monotonic() + SECONDS
    exact = replace(loaded, precision="fp32")
    exact.encode(texts[:1], role)
    # One of usual length and the longest; while other programs run, the clock says too much.
    few = spread(texts, 3)[1:] or list(texts[:1])
    each = min(_timed(exact, few, role)) / len(few)
    found: dict[str, Any] = {"engine": TORCH, "seconds": {}, "cpu": {}, "cosine": {}, "refused": {}}
    if not _QUICKEST < each < _SLOWEST:
        why = "the model is too large to try" if each > _SLOWEST else "the model is small enough"
        found["refused"] = dict.fromkeys(candidates[1:], why)
        return found, None
    count = int(np.clip(SECONDS / 10 / max(each, 1e-4), _LEAST_TEXTS, _MOST_TEXTS))
    sample = spread(texts, count)
    # As near has to be what is longer than all of these.
    asked = [*sample, longest(loaded)] if use == "texts" else sample
    reference = exact.encode(asked, role)
    ready: dict[str, Any] = {}
    for name in candidates:
        stop()
        if name != TORCH and time.monotonic() > end:
            found["refused"][name] = "there was no time left to try it"
            continue
        try:
            made = _MAKE[name](loaded, use)
            cosine = least_cosine(made.encode(asked, role), reference)
        except Exception as error:  # noqa: BLE001 - whatever a library says, torch can do it
            found["refused"][name] = _said(error)
            continue
        found["cosine"][name] = cosine
        if name != TORCH and cosine < LEAST_COSINE:
            found["refused"][name] = f"its least cosine to fp32 is {cosine:.5f}"
        else:
            ready[name] = made
    # Enough for every core to have more than one batch, if that does not take too long.
    whole = _TEXTS_OF_CORE * torch.get_num_threads() if use == "texts" else 0
    times = max(1, int(min(whole, SECONDS / 5 / each) / len(sample)))
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in ready}
    before = (_worked(), time.process_time(), time.perf_counter())
    for turn in range(_ROUNDS):
        if turn and time.monotonic() > end:
            break
        for name, made in ready.items():
            stop()
            took[name].append(_one_by_one(made, sample * times, role, use))
    count = len(sample) * times
    for name, all_turns in took.items():
        found["seconds"][name] = min(clock for clock, _ in all_turns) / count
        found["cpu"][name] = min(cpu for _, cpu in all_turns) / count

    everyone, mine, clock = (
        now - then
        for now, then in zip(
            (_worked(), time.process_time(), time.perf_counter()), before, strict=True
        )
    )
    found["others"] = max(0.0, everyone - mine) / max(clock, 1e-9) / (os.cpu_count() or 1)
    # While other programs run, the clock says when they let go; a GPU's work it says all the same.
    busy = loaded.device == "cpu" and found["others"] > _BUSY
    cost = found["cpu" if busy else "seconds"].__getitem__

    best = min(ready, key=cost)
    if cost(best) * _MARGIN < cost(TORCH):
        found["engine"] = best
    return found, ready[best] if found["engine"] != TORCH else None


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


def told(known: dict[str, Any]) -> str:
    """A decision in a line."""
    cpu = known.get("cpu", {})
    rates = ", ".join(
        f"{name} {1 / took:.1f} ({1 / cpu[name]:.1f})"
        for name, took in known["seconds"].items()
        if took and cpu.get(name)
    )
    refused = "".join(f"; {name}: {why}" for name, why in known["refused"].items())
    return (
        f"'{known['model']}' is computed by {known['engine']} from here on (texts per second, and "
        f"per second of processor time: {rates or 'not measured'}{refused}). {ENGINE_VARIABLE} "
        "chooses another."
    )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


# Decisions in the home.


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


def kept(home: Path) -> dict[str, dict[str, Any]]:
    """All decisions by their keys; none where the file is not there or not what was written."""
    with suppress(OSError, ValueError):
        found = json.loads((home / FILE).read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return {
                key: one
                for key, one in found.items()
                if isinstance(one, dict) and one.get("engine") in ENGINES
            }
    return {}


def keep(home: Path, key: str, decision: dict[str, Any]) -> None:
    """Add one, the oldest going where there are many. Two processes at once may lose one, which is
    then measured again."""
    path = home / FILE
    all_kept = {**kept(home), key: decision}
    newest = dict(list(all_kept.items())[-_MOST_KEPT:])
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps(newest, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        log.warning("Which engine is the fastest could not be kept: %s", error)
