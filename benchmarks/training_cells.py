"""Every kind with every method, against the plain sentence-transformers script for it.

    python benchmarks/training_cells.py [--steps 6] [--only reranker] --out ROWS.json
    python benchmarks/training_cells.py --alone --shapes real --device cuda --steps 12

Each cell in a process of its own, in which ours and plain take a step in turns; plain with peft and
bitsandbytes as their documentation has it. ``--alone``: ours without plain, with samples a second
and peak memory. 'small' shapes: the sample, MiniLM for encoders, and a Qwen2 shape with random
weights (6 layers, 384 wide) for decoders. 'real' ones: texts by chance that fill the lengths, and
BERT base and Qwen2 1.5B with random weights. 'tiny' tries the code of 'real' on a CPU. Peak memory
is what torch took of the GPU, or the process's largest resident size, libraries included; the
estimate beside it is that of ``train --check``.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import sides
from benchmarks.shapes import BERT, QWEN2, TINY, save_decoder, save_encoder, write_rows
from workbench.jobs.slots import patient

METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "LoRA": {"method": "lora"},
    "QLoRA 4-bit": {"method": "qlora", "quantization_bits": "4"},
    "QLoRA 8-bit": {"method": "qlora", "quantization_bits": "8"},
}
CHECKPOINTING = {"gradient_checkpointing": True}
SMALL_DECODER = {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}


@dataclass(frozen=True)
class Cell:
    kind: str
    base: str
    method: str
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return " ".join([self.kind, self.base, self.method, *map(str, self.more.values())])


@dataclass(frozen=True)
class Shapes:
    """What is trained on what: one table."""

    dataset: str
    #: What a cell's base is called for a recipe; a path is below the home.
    bases: dict[str, str]
    settings: dict[str, Any]
    cells: list[Cell]
    #: A reranker reads each query with five documents.
    reranker: dict[str, Any] = field(default_factory=dict)


def every(encoder: str, decoder: str) -> list[Cell]:
    """Every kind with every method."""
    return [
        Cell(kind, base, method)
        for kind, bases, methods in (
            ("embedding", (encoder, decoder), list(METHODS)),
            ("reranker", (encoder, decoder), list(METHODS)),
            ("late-interaction", (encoder,), ["full", "LoRA"]),
        )
        for base in bases
        for method in methods
    ]


def real(encoder: str, decoder: str) -> list[Cell]:
    """The same where a GPU is worth it: with checkpointing, and in fp16, too."""
    half = {"precision": "fp16"}
    return [
        *every(encoder, decoder),
        Cell("embedding", decoder, "full", CHECKPOINTING),
        Cell("embedding", decoder, "LoRA", CHECKPOINTING),
        Cell("reranker", decoder, "LoRA", CHECKPOINTING),
        Cell("reranker", decoder, "QLoRA 4-bit", CHECKPOINTING),
        Cell("embedding", encoder, "full", half),
        Cell("embedding", encoder, "QLoRA 8-bit", half),
        Cell("embedding", decoder, "LoRA", half),
        Cell("embedding", decoder, "QLoRA 4-bit", half),
        Cell("reranker", encoder, "QLoRA 4-bit", half),
        Cell("reranker", decoder, "QLoRA 4-bit", half),
        Cell("late-interaction", encoder, "LoRA", half),
    ]


LONG = {"batch_size": 16, "query_max_len": 64, "passage_max_len": 256}
ALL: dict[str, Shapes] = {
    "small": Shapes(
        "stdlib-code",
        {"MiniLM": "all-MiniLM-L6-v2", "Qwen2": "decoder"},
        {"batch_size": 8, "query_max_len": 32, "passage_max_len": 96},
        every("MiniLM", "Qwen2"),
    ),
    "real": Shapes(
        "words",
        {"BERT base": "encoder", "Qwen2 1.5B": "decoder"},
        LONG,
        real("BERT base", "Qwen2 1.5B"),
        {"batch_size": 8},
    ),
    "tiny": Shapes(
        "words",
        {"tiny BERT": "encoder", "tiny Qwen2": "decoder"},
        {**LONG, "batch_size": 2},
        real("tiny BERT", "tiny Qwen2"),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--only", default="", help="cells whose name has this in it")
    parser.add_argument("--shapes", choices=list(ALL), default="small")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="cpu")
    parser.add_argument("--home", default="", help="kept, and used again if it is there")
    parser.add_argument("--alone", action="store_true", help="ours only, with its peak memory")
    parser.add_argument("--out", type=Path, help="write the rows of run.py to this file")
    parser.add_argument("--cell", type=int)
    asked = parser.parse_args()
    if asked.cell is not None:
        sides.write_rows(asked.out, one(Path(asked.home), asked))
        return
    home = Path(asked.home or tempfile.mkdtemp(prefix="training-cells-"))
    rows: list[sides.Row] = []
    try:
        if not (home / "decoder").is_dir():
            prepare(home, asked.shapes, asked.device)
        for at, cell in enumerate(ALL[asked.shapes].cells):
            if asked.only in cell.name:
                found = measured(home, at, cell, asked)
                print(sides.table(found), flush=True)
                rows += found
    finally:
        if not asked.home:
            shutil.rmtree(home, ignore_errors=True)
    sides.write_rows(asked.out, rows)


def prepare(home: Path, shapes: str, device: str) -> None:
    """The data, and bases whose tokenizers know its texts."""
    from workbench.models.precision import pick_device
    from workbench.recipes.data import ImportRecipe, SampleRecipe
    from workbench.workspace import Workspace

    workspace = Workspace.open(home)
    if shapes == "small":
        do(workspace, SampleRecipe())
        workspace.models.ensure_packaged()
        reader = workspace.datasets.read("stdlib-code")
        texts = reader.queries()["text"].to_pylist() + reader.documents()["text"].to_pylist()
        save_decoder(home / "decoder", texts, SMALL_DECODER)
    else:
        path = home / "words.jsonl"
        texts = write_rows(path, rows=400, query=80, passage=300, negatives=4)
        do(workspace, ImportRecipe(paths=[str(path)], name="words", pieces="none"))
        cut = TINY if shapes == "tiny" else {}
        device = pick_device(device)
        save_encoder(home / "encoder", texts, {**BERT, **cut}, device)
        save_decoder(home / "decoder", texts, {**QWEN2, **cut}, device, half=True)
    workspace.close()


def do(workspace: Any, recipe: Any) -> None:
    """A job, to its end."""
    from workbench.jobs.supervisor import Supervisor

    job = workspace.jobs.submit(recipe)
    Supervisor(workspace).run_until(job.id, lambda job: None)


def measured(home: Path, at: int, cell: Cell, asked: Any) -> list[sides.Row]:
    """A cell's rows, from a process of its own; one without readings where that failed, which is
    printed."""
    command = [sys.executable, __file__, "--home", str(home), "--steps", str(asked.steps)]
    out = home / "cell.json"
    done = subprocess.run(
        [
            *(*command, "--shapes", asked.shapes, "--device", asked.device, "--cell", str(at)),
            *("--out", str(out), *["--alone"] * asked.alone),
        ],
        env={**os.environ, **patient(os.environ)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"{cell.name} failed:\n{done.stderr[-3000:]}", file=sys.stderr, flush=True)
        return [sides.Row(cell.name, "samples/s", "more", [], note="failed")]
    return sides.read_rows(out)


def one(home: Path, asked: Any) -> list[sides.Row]:
    """One cell, in this process."""
    from benchmarks.loops import WARM_UP, in_turns, our_trainer, plain_trainer, times
    from workbench.checks.run_facts import look
    from workbench.models.precision import choose, pick_device
    from workbench.recipes.train import KINDS
    from workbench.workspace import Workspace

    shapes = ALL[asked.shapes]
    cell = shapes.cells[asked.cell]
    workspace = Workspace.open(home)
    base = shapes.bases[cell.base]
    own = shapes.reranker if cell.kind == "reranker" else {}
    recipe = KINDS[cell.kind](
        dataset=shapes.dataset,
        model=str(home / base) if (home / base).is_dir() else base,
        max_steps=asked.steps + WARM_UP,
        device=asked.device,
        **{**shapes.settings, **own, **METHODS[cell.method], **cell.more},
    )
    place = pick_device(asked.device)
    estimate = look(workspace, recipe, place != "cpu").facts.memory(recipe)
    sides = {"ours": our_trainer} if asked.alone else {"ours": our_trainer, "plain": plain_trainer}
    found = in_turns(
        {
            name: partial(make, workspace, recipe, home / f"{name}-{asked.cell}")
            for name, make in sides.items()
        },
        asked.steps,
    )
    note = f"{choose(recipe.precision, place)}, batch of {recipe.batch_size}"
    note += f", {found['ours'].read[0][0]:,} tokens"
    if not asked.alone:
        # A decoder that reranks is asked in words, which plain does not do.
        if found["plain"].read != found["ours"].read:
            note += f", plain {found['plain'].read[0][0]:,}"
        return times(cell.name, found["ours"], found["plain"], note)
    rates = [recipe.batch_size / step.wall for step in found["ours"].spent]
    guess = f"estimate {estimate.total / 1e6:,.0f} MB" if estimate else ""
    return [
        sides.Row(cell.name, "samples/s", "more", rates, note=note),
        sides.Row(f"{cell.name}, peak memory", "MB", "less", [peak(place)], note=guess),
    ]


def peak(device: str) -> float:
    """Megabytes of the GPU that torch gave out at most, or of this process."""
    import torch

    if device != "cpu":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
