"""Texts encoded per second: each format of the packaged model against plain sentence-transformers.

    python benchmarks/encoding_speed.py [--texts 600] [--repeats 5] [--methods bf16 onnx-int8]

The same texts (functions of the standard library), the same lengths, in one process, in turns, each
turn in another order (plain, bf16, int8 ..., then bf16, int8 ..., plain). Plain is
``SentenceTransformer.encode`` in fp32 as it comes. The last lines have each format's median rate,
its median ratio to the plain one of the same turn, and its smallest and mean cosine to it;
``--json FILE`` writes every rate. The first turn warms all and is not counted.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workbench.jobs.slots import patient

# As workers have it, before torch is imported; both sides alike.
os.environ.update(patient(os.environ))

import numpy as np
from sentence_transformers import SentenceTransformer

from workbench.data.job import collect
from workbench.models.load import load_model
from workbench.models.locate import LocalModel, locate, locate_folder
from workbench.models.registry import NAME
from workbench.quantization.quantize import convert
from workbench.workspace import Workspace

METHODS = ("bf16", "onnx-int8", "onnx", "fp16")
PLAIN, OURS = "plain fp32", "fp32"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=600)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--json", type=Path, help="write every number to this file")
    asked = parser.parse_args()
    if asked.repeats < 5:
        print("Fewer than five turns say little.", file=sys.stderr)
    texts = [pair.code for pair in islice(collect(lambda *_: None, lambda: None), asked.texts)]
    with tempfile.TemporaryDirectory(prefix="encoding-speed-") as made:
        found = measure(arms(Path(made), asked.methods), texts, asked.repeats)
    if asked.json:
        about = {"texts": len(texts), "cores": os.cpu_count(), "load_average": os.getloadavg()[0]}
        asked.json.write_text(json.dumps({**about, "formats": found}, indent=1))


def arms(folder: Path, methods: list[str]) -> dict[str, Callable[[list[str]], Any]]:
    """What encodes, by name; all are in memory at once, and have seen a batch before."""
    workspace = Workspace.open(folder / "home")
    original = locate(workspace, NAME)
    plain = SentenceTransformer(str(original.folder), device="cpu")
    found: dict[str, Callable[[list[str]], Any]] = {
        PLAIN: lambda texts: plain.encode(texts, normalize_embeddings=True),
        OURS: ours(original),
    }
    for method in methods:
        target = folder / method
        target.mkdir()
        convert(original, method, target, device="cpu")
        found[method] = ours(locate_folder(workspace, target))
    for arm in found.values():
        arm(["A text.", "Another text."] * 16)
    return found


def ours(model: LocalModel) -> Callable[[list[str]], Any]:
    loaded: Any = load_model(model, device="cpu", precision="fp32")
    return lambda texts: loaded.encode(texts, "document")


def measure(
    found: dict[str, Callable[[list[str]], Any]], texts: list[str], repeats: int
) -> dict[str, dict[str, Any]]:
    rates: dict[str, list[float]] = {name: [] for name in found}
    vectors: dict[str, Any] = {}
    for repeat in range(repeats + 1):
        # Whoever comes first may find the machine in another state than the last one does.
        at = repeat % len(found)
        for name in [*list(found)[at:], *list(found)[:at]]:
            began = time.perf_counter()
            vectors[name] = found[name](texts)
            if repeat:
                rates[name].append(len(texts) / (time.perf_counter() - began))
        if repeat:
            line = ", ".join(f"{name} {values[-1]:.1f}" for name, values in rates.items())
            print(f"turn {repeat}: {line} texts/s", flush=True)
    return {name: summary(name, rates, vectors) for name in found}


def summary(name: str, rates: dict[str, list[float]], vectors: dict[str, Any]) -> dict[str, Any]:
    ratios = [one / plain for one, plain in zip(rates[name], rates[PLAIN], strict=True)]
    cosines = np.einsum("nd,nd->n", vectors[name], vectors[PLAIN])
    found = {
        "rates": rates[name],
        "median_rate": statistics.median(rates[name]),
        "ratios": ratios,
        "median_ratio": statistics.median(ratios),
        "least_cosine": float(cosines.min()),
        "mean_cosine": float(cosines.mean()),
    }
    print(
        f"{name}: median {found['median_rate']:.1f} texts/s, median ratio "
        f"{found['median_ratio']:.2f} (from {min(ratios):.2f} to {max(ratios):.2f}), "
        f"cosine {cosines.min():.4f} at least, {cosines.mean():.4f} in the mean"
    )
    return found


if __name__ == "__main__":
    main()
