"""Encoding against plain sentence-transformers in fp32: much text, single questions, and serving.

    python benchmarks/encoding_speed.py [FOLDER] [--documents 200] [--questions 60] [--repeats 5]
        [--parts texts questions serving] [--methods bf16 onnx-int8] [--clients 32]

FOLDER holds a retrieval set as BEIR has it (corpus.jsonl, queries.jsonl, qrels/test.tsv); without
it the texts are functions of the standard library, asked for by what they say of themselves. All
with the packaged model at its own lengths, both sides in turns, each turn in another order; ratios
are against the plain side of the same turn, in seconds of processor time and by the clock.

texts: so many documents, those judged relevant to the questions among them. 'ours' is what a job
with much to encode does, 'torch' the same without another engine; ``--methods`` adds models in
smaller formats. NDCG@10 is that of the questions over these documents.
questions: one at a time, as a search does.
serving: one text a request from many clients, through ``serve`` (in search's format, and in fp32)
and through FastAPI around ``SentenceTransformer.encode``, each a process of its own.

The first turn warms all, measures the engines, and is not counted. ``--json FILE`` writes every
number, ``--out FILE`` the rows of run.py; ``--engine torch`` goes without measuring.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.sides import Row, Spent, both_times, write_rows
from workbench.jobs.slots import patient

# As workers have it, before torch is imported; both sides alike.
os.environ.update(patient(os.environ))

import httpx2
import numpy as np
import psutil
import uvicorn
from fastapi import FastAPI
from sentence_transformers import SentenceTransformer

from workbench.data.job import collect
from workbench.evaluation.cached import weights_digest
from workbench.models.engines import Use
from workbench.models.load import PRECISION_VARIABLE, load_embedding
from workbench.models.locate import LocalModel, locate, locate_folder
from workbench.models.precision import ENGINE_VARIABLE, ENGINES, kept, told
from workbench.models.registry import NAME
from workbench.quantization.quantize import convert
from workbench.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
METHODS = ("bf16", "onnx-int8", "onnx", "fp16")
PARTS = ("texts", "questions", "serving")
PLAIN, TORCH, OURS, EXACT = "plain fp32", "torch", "ours", "ours in fp32"
KEY = "only-for-this-benchmark"
Arms = dict[str, Callable[[list[str], str], Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--methods", nargs="*", choices=METHODS, default=[])
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--engine", choices=("auto", *ENGINES), default="auto")
    parser.add_argument("--json", type=Path, help="write every number to this file")
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    parser.add_argument("--bare", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.bare:
        bare_server(asked.folder, asked.bare)
        return
    os.environ[ENGINE_VARIABLE] = asked.engine
    files = read_set(asked.folder) if asked.folder else functions(asked.documents)
    data = Data(files, asked.documents, asked.questions)
    found: dict[str, Any] = {"cores": os.cpu_count(), "load_average": os.getloadavg()[0]}
    print(
        f"{len(data.documents)} documents, {len(data.questions)} questions, load average", end=" "
    )
    print(f"{found['load_average']:.1f}", flush=True)
    with tempfile.TemporaryDirectory(prefix="encoding-speed-") as made:
        home = Path(made) / "home"
        workspace = Workspace.open(home)
        original = locate(workspace, NAME)
        if "texts" in asked.parts:
            arms = {**arms_of(original, home, "texts"), **in_formats(original, made, asked.methods)}
            found["texts"] = texts_part(arms, data, asked.repeats)
        if "questions" in asked.parts:
            arms = arms_of(original, home, "questions")
            found["questions"] = questions_part(arms, data, asked.repeats)
        if "serving" in asked.parts:
            found["serving"] = serving_part(original, home, data, asked.repeats, asked.clients)
        found["engines"] = list(kept(home).values())
        for one in found["engines"]:
            print(told(one))
    write_rows(asked.out, rows(found, len(data.documents), asked.clients))
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


#: Texts and questions by their ids, and the texts that are judged relevant to a question.
Files = tuple[dict[str, str], dict[str, str], dict[str, set[str]]]


def read_set(folder: Path) -> Files:
    """A retrieval set as BEIR has it."""
    texts = {
        row["_id"]: f"{row.get('title') or ''} {row['text']}".strip()
        for row in _lines(folder / "corpus.jsonl")
    }
    asked = {row["_id"]: row["text"] for row in _lines(folder / "queries.jsonl")}
    judged: dict[str, set[str]] = {}
    for line in (folder / "qrels/test.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        question, document, grade = line.split("\t")
        if float(grade) > 0 and document in texts:
            judged.setdefault(question, set()).add(document)
    return texts, asked, judged


def functions(count: int) -> Files:
    """Functions of the standard library, and what each says of itself."""
    pairs = list(islice(collect(lambda *_: None, lambda: None), count))
    names = [str(at) for at in range(len(pairs))]
    texts = {name: pair.code for name, pair in zip(names, pairs, strict=True)}
    asked = {name: pair.query for name, pair in zip(names, pairs, strict=True)}
    return texts, asked, {name: {name} for name in names}


class Data:
    """Documents and questions of a set, the judged ones first."""

    def __init__(self, files: Files, documents: int, questions: int) -> None:
        texts, asked, judged = files
        step = max(1, len(judged) // questions)
        chosen = list(judged)[::step][:questions]
        wanted = dict.fromkeys(document for one in chosen for document in sorted(judged[one]))
        others = [one for one in texts if one not in wanted]
        spare = np.random.default_rng(11).permutation(len(others))[
            : max(0, documents - len(wanted))
        ]
        ids = [*wanted, *(others[at] for at in spare.tolist())]
        self.documents = [texts[one] for one in ids]
        self.questions = [asked[one] for one in chosen]
        place = {one: at for at, one in enumerate(ids)}
        self.relevant = [{place[document] for document in judged[one]} for one in chosen]

    def ndcg(self, documents: Any, questions: Any) -> float:
        """At 10, of relevance yes or no."""
        found = []
        for row, relevant in zip(questions @ documents.T, self.relevant, strict=True):
            first = np.argsort(-row, kind="stable")[:10].tolist()
            gain = sum(1 / np.log2(at + 2) for at, one in enumerate(first) if one in relevant)
            found.append(gain / sum(1 / np.log2(at + 2) for at in range(min(10, len(relevant)))))
        return float(np.mean(found))


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def plain_model(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu")


def arms_of(original: LocalModel, home: Path, use: Use) -> Arms:
    """What encodes, by name; all are in memory at once."""
    plain = plain_model(original.folder)
    today = load_embedding(original, device="cpu")
    about = (home, weights_digest(original), original.name)
    quick = today.with_engines(*about, use=use, worth=1)
    return {
        PLAIN: lambda texts, _role: plain.encode(texts, normalize_embeddings=True),
        TORCH: lambda texts, role: today.encode(texts, role),  # type: ignore[arg-type]
        OURS: lambda texts, role: quick.encode(texts, role),  # type: ignore[arg-type]
    }


def in_formats(original: LocalModel, folder: str, methods: list[str]) -> Arms:
    found: Arms = {}
    for method in methods:
        target = Path(folder) / method
        target.mkdir()
        convert(original, method, target, device="cpu")
        at = locate_folder(Workspace.open(Path(folder) / "home"), target)
        loaded = load_embedding(at, device="cpu", precision="fp32")
        found[method] = loaded.encode  # type: ignore[assignment]
    return found


def in_turns(names: list[str], turn: int) -> list[str]:
    """Whoever comes first may find the machine in another state than the last one does."""
    at = turn // 2 % len(names)
    order = [*names[at:], *names[:at]]
    return order[::-1] if turn % 2 else order


def texts_part(arms: Arms, data: Data, repeats: int) -> dict[str, Any]:
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    vectors: dict[str, Any] = {}
    for turn in range(repeats + 1):
        for name in in_turns(list(arms), turn):
            texts = data.documents if turn else data.documents[:64]
            cpu, clock = time.process_time(), time.perf_counter()
            vectors[name] = arms[name](texts, "document")
            spent = (time.process_time() - cpu, time.perf_counter() - clock)
            if turn:
                took[name].append(spent)
    found = {}
    for name in arms:
        asked = arms[name](data.questions, "query")
        cosines = np.einsum("nd,nd->n", vectors[name], vectors[PLAIN])
        found[name] = {
            **ratios(took[name], took[PLAIN]),
            "least_cosine": float(cosines.min()),
            "ndcg@10": data.ndcg(vectors[name], asked),
        }
        rate = len(data.documents) / statistics.median(cpu for cpu, _ in took[name])
        print(
            f"texts, {name}: {rate:.1f} texts per CPU second; {said(found[name])}; cosine "
            f"{cosines.min():.5f} at least, NDCG@10 {found[name]['ndcg@10']:.4f}",
            flush=True,
        )
    return found


def questions_part(arms: Arms, data: Data, repeats: int) -> dict[str, Any]:
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in arms}
    for turn in range(repeats + 1):
        for at, question in enumerate(data.questions if turn else data.questions[:5]):
            for name in in_turns(list(arms), turn + at):
                cpu, clock = time.process_time(), time.perf_counter()
                arms[name]([question], "query")
                if turn:
                    spent = (time.process_time() - cpu, time.perf_counter() - clock)
                    took[name].append(spent)
    found = {}
    for name in arms:
        found[name] = {**ratios(took[name], took[PLAIN]), **percentiles(took[name])}
        found[name]["turns"] = repeats
        print(f"questions, {name}: {said(found[name])}; {latencies(found[name])}", flush=True)
    return found


def ratios(ours: list[tuple[float, float]], plain: list[tuple[float, float]]) -> dict[str, Any]:
    """'cpu' and 'clock': how many times quicker than plain, turn by turn."""
    both = list(zip(ours, plain, strict=True))
    return {
        "seconds": ours,
        "plain": plain,
        "cpu": [theirs[0] / mine[0] for mine, theirs in both],
        "clock": [theirs[1] / mine[1] for mine, theirs in both],
    }


def said(found: dict[str, Any]) -> str:
    def one(name: str, values: list[float]) -> str:
        low, high = np.percentile(values, [25, 75])
        return f"{name} ratio {statistics.median(values):.2f} ({low:.2f} to {high:.2f})"

    return f"{one('CPU', found['cpu'])}, {one('clock', found['clock'])} (quartiles)"


def percentiles(took: list[tuple[float, float]]) -> dict[str, float]:
    clock = [1000 * one for _, one in took]
    p50, p95 = np.percentile(clock, [50, 95])
    return {"ms_p50": p50, "ms_p95": p95, "cpu_ms": 1000 * statistics.mean(c for c, _ in took)}


def latencies(found: dict[str, Any]) -> str:
    return (
        f"p50 {found['ms_p50']:.1f} ms, p95 {found['ms_p95']:.1f} ms, "
        f"{found['cpu_ms']:.1f} ms of CPU"
    )


# -- serving -------------------------------------------------------------------------------------


def bare_server(folder: Path, port: int) -> None:
    """What one writes first: FastAPI around ``encode``."""
    model = plain_model(folder)
    app = FastAPI()

    @app.post("/v1/embeddings")
    def embeddings(body: dict[str, Any]) -> dict[str, Any]:
        found = model.encode(body["input"], normalize_embeddings=True)
        rows = enumerate(found.tolist())
        data = [{"object": "embedding", "index": at, "embedding": row} for at, row in rows]
        return {"object": "list", "data": data, "model": body["model"]}

    uvicorn.run(app, port=port, log_level="error")


def serving_part(
    original: LocalModel, home: Path, data: Data, repeats: int, clients: int
) -> dict[str, Any]:
    program = [sys.executable, str(Path(__file__).resolve()), str(original.folder)]
    ours = [sys.executable, "-m", "workbench", "--home", str(home), "serve", NAME, "--port"]
    texts = [*data.questions, *data.documents[: len(data.questions)]]
    took: dict[str, list[tuple[float, float]]] = {PLAIN: [], OURS: [], EXACT: []}
    each: dict[str, list[float]] = {name: [] for name in took}
    with (
        started([*program, "--bare"]) as plain,
        started(ours) as quick,
        started(ours, **{PRECISION_VARIABLE: "fp32"}) as exact,
    ):
        servers = {PLAIN: plain, OURS: quick, EXACT: exact}
        for turn in range(repeats + 1):
            for name in in_turns(list(took), turn):
                spent, waits = load_of(servers[name], texts, clients)
                if turn:
                    took[name].append(spent)
                    each[name] += waits
    found = {}
    for name in took:
        found[name] = ratios(took[name], took[PLAIN]) | {
            "requests": len(texts),
            "requests_per_second": len(texts) / statistics.median(one for _, one in took[name]),
            "ms_p50": 1000 * float(np.percentile(each[name], 50)),
            "ms_p95": 1000 * float(np.percentile(each[name], 95)),
        }
        print(
            f"serving, {name}: {found[name]['requests_per_second']:.1f} requests/s, "
            f"p50 {found[name]['ms_p50']:.0f} ms, p95 {found[name]['ms_p95']:.0f} ms; "
            f"{said(found[name])}",
            flush=True,
        )
    return found


@contextmanager
def started(command: list[str], **more: str) -> Iterator[tuple[str, psutil.Process]]:
    """A server, from when it answers until the end of the block."""
    port = free_port()
    environment = {**os.environ, "WORKBENCH_API_KEY": KEY, **more}
    process = subprocess.Popen([*command, str(port)], cwd=ROOT, env=environment)
    address = f"http://127.0.0.1:{port}/v1/embeddings"
    try:
        end = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < end:
            with suppress(httpx2.TransportError):
                httpx2.post(address, **request("warm"), timeout=120).raise_for_status()
                break
            time.sleep(0.5)
        yield address, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def request(text: str) -> dict[str, Any]:
    return {
        "json": {"model": NAME, "input": [text]},
        "headers": {"Authorization": f"Bearer {KEY}"},
    }


def load_of(
    server: tuple[str, psutil.Process], texts: list[str], clients: int
) -> tuple[tuple[float, float], list[float]]:
    """Seconds of the server's processor time and by the clock for all texts, each a request; and
    what each request took."""
    address, process = server

    def ask(text: str) -> float:
        began = time.perf_counter()
        client.post(address, **request(text)).raise_for_status()
        return time.perf_counter() - began

    limits = httpx2.Limits(max_connections=clients)
    with (
        httpx2.Client(timeout=600, limits=limits) as client,
        ThreadPoolExecutor(clients) as threads,
    ):
        cpu, clock = cpu_of(process), time.perf_counter()
        waits = list(threads.map(ask, texts))
        return (cpu_of(process) - cpu, time.perf_counter() - clock), waits


def cpu_of(process: psutil.Process) -> float:
    """Of the server and the processes that it started."""
    all_times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(one.user + one.system for one in all_times)


# -- what came out -------------------------------------------------------------------------------


def rows(found: dict[str, Any], documents: int, clients: int) -> list[Row]:
    """Each of ours against plain sentence-transformers in fp32, turn by turn; single questions
    as the median of each turn's."""
    made_of = []
    for name, one in ours_of(found, "texts"):
        plain = found["texts"][PLAIN]["ndcg@10"]
        note = f"least cosine {one['least_cosine']:.5f}, NDCG@10 {one['ndcg@10']:.4f} ({plain:.4f})"
        how: dict[str, Any] = {"amount": documents, "unit": "texts/s", "note": note}
        made_of += both_times(f"{documents:,} texts, {name}", *sides_of(one), **how)
    for name, one in ours_of(found, "questions"):
        sides = (medians(side, one["turns"]) for side in sides_of(one))
        note = f"p95 {one['ms_p95']:.1f} ms"
        made_of += both_times(f"one question, {name}", *sides, note=note)
    for name, one in ours_of(found, "serving"):
        note = f"p50 {one['ms_p50']:.0f} ms, p95 {one['ms_p95']:.0f} ms"
        how = {"amount": one["requests"], "unit": "requests/s", "note": note}
        made_of += both_times(f"{clients} clients, {name}", *sides_of(one), **how)
    return made_of


def ours_of(found: dict[str, Any], part: str) -> list[tuple[str, dict[str, Any]]]:
    return [(name, one) for name, one in found.get(part, {}).items() if name != PLAIN]


def sides_of(one: dict[str, Any]) -> tuple[list[Spent], list[Spent]]:
    ours, plain = ([Spent(wall, cpu) for cpu, wall in one[side]] for side in ("seconds", "plain"))
    return ours, plain


def medians(took: list[Spent], turns: int) -> list[Spent]:
    each = len(took) // turns
    parts = (took[start : start + each] for start in range(0, len(took), each))
    return [
        Spent(statistics.median(one.wall for one in part), statistics.median(o.cpu for o in part))
        for part in parts
    ]


if __name__ == "__main__":
    main()
