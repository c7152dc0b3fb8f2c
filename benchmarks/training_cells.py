"""Samples per second and peak memory of every kind with every method.

    python benchmarks/training_cells.py [--steps 6] [--only reranker]

Each cell in a process of its own, one after the other, on the sample: MiniLM for encoders, and a
Qwen2 shape with random weights (6 layers, 384 wide) for decoders. Peak memory is the process's
largest resident size, libraries included.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workbench.jobs.launchers import patient

METHODS: dict[str, dict[str, Any]] = {
    "full": {"method": "full"},
    "LoRA": {"method": "lora"},
    "QLoRA 4-bit": {"method": "qlora", "quantization_bits": "4"},
    "QLoRA 8-bit": {"method": "qlora", "quantization_bits": "8"},
}
CELLS = [
    (kind, base, method)
    for kind, bases, methods in (
        ("embedding", ("MiniLM", "Qwen2"), list(METHODS)),
        ("reranker", ("MiniLM", "Qwen2"), list(METHODS)),
        ("late-interaction", ("MiniLM",), ["full", "LoRA"]),
    )
    for base in bases
    for method in methods
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--only", default="")
    parser.add_argument("--home", default="")
    parser.add_argument("--cell", default="")
    asked = parser.parse_args()
    if asked.cell:
        one(Path(asked.home), json.loads(asked.cell), asked.steps)
        return
    home = Path(tempfile.mkdtemp(prefix="training-cells-"))
    try:
        prepare(home)
        print("| kind | base | method | samples/s | peak memory |\n|---|---|---|---|---|")
        for cell in CELLS:
            if asked.only in cell[0]:
                print(row(home, cell, asked.steps), flush=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def prepare(home: Path) -> None:
    """The sample, and a decoder whose tokenizer knows its texts."""
    from workbench.jobs.supervisor import Supervisor
    from workbench.recipes.data import SampleRecipe
    from workbench.workspace import Workspace

    workspace = Workspace.open(home)
    job = workspace.jobs.submit(SampleRecipe())
    Supervisor(workspace).run_until(job.id, lambda job: None)
    workspace.models.ensure_packaged()
    save_decoder(workspace, home / "decoder")
    workspace.close()


def save_decoder(workspace: Any, folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    reader = workspace.datasets.read("stdlib-code")
    texts = reader.queries()["text"].to_pylist() + reader.documents()["text"].to_pylist()
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8000,
        special_tokens=["<|endoftext|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *["yes yes no no"] * 500], trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|endoftext|>",
        eos_token="<|im_end|>",
        model_max_length=512,
    )
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(fast),
        hidden_size=384,
        intermediate_size=1536,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=512,
    )
    Qwen2ForCausalLM(config).save_pretrained(str(folder))
    fast.save_pretrained(str(folder))


def row(home: Path, cell: tuple[str, str, str], steps: int) -> str:
    command = [sys.executable, __file__, "--home", str(home), "--steps", str(steps)]
    done = subprocess.run(
        [*command, "--cell", json.dumps(cell)],
        env={**os.environ, **patient(os.environ)},
        capture_output=True,
        text=True,
        check=False,
    )
    kind, base, method = cell
    if done.returncode:
        return f"| {kind} | {base} | {method} | failed: {done.stderr.splitlines()[-1][:80]} | |"
    found = json.loads(done.stdout.splitlines()[-1])
    return f"| {kind} | {base} | {method} | {found['rate']:.1f} | {found['megabytes']:,.0f} MB |"


def one(home: Path, cell: list[str], steps: int) -> None:
    """One cell, in this process."""
    from benchmarks.loops import WARM_UP, ours, rate
    from workbench.recipes.kinds import KINDS
    from workbench.workspace import Workspace

    kind, base, method = cell
    workspace = Workspace.open(home)
    recipe = KINDS[kind](
        dataset="stdlib-code",
        model="all-MiniLM-L6-v2" if base == "MiniLM" else str(home / "decoder"),
        batch_size=8,
        max_steps=steps + WARM_UP,
        query_max_len=32,
        passage_max_len=96,
        **METHODS[method],
    )
    times = ours(workspace, recipe, home / "runs" / "-".join(cell).replace(" ", "-"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rate": rate(times, recipe.batch_size), "megabytes": peak}))


if __name__ == "__main__":
    main()
