"""Attaches an adapter to its base. Imports torch: worker processes only."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from workbench.errors import ModelUnusable
from workbench.models.keeping import Keeping

#: What of an adapter's folder is the adapter itself; the rest is the model around it.
_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
_BASE_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json")


@contextmanager
def overlay(adapter: Path, base: Path) -> Iterator[Path]:
    """A folder of links: the base's weights in the middle of the adapter's own modules.

    An adapter saved by sentence-transformers brings everything but the base's weights: tokenizer,
    pooling, projection, prompt. Its file names the base by a path that may not exist any more; this
    joins them wherever both are now.
    """
    base = _transformer_folder(base)
    with tempfile.TemporaryDirectory(prefix="workbench-overlay-") as made:
        folder = Path(made)
        for path in adapter.iterdir():
            if path.name not in _ADAPTER_FILES:
                (folder / path.name).symlink_to(path.resolve())
        for pattern in _BASE_FILES:
            for path in base.glob(pattern):
                _replace(path.resolve(), folder / path.name)
        yield folder


def attach(model: Any, adapter: Path, keeping: Keeping) -> None:
    """Put an adapter on a sentence-transformers model, in place.

    On weights in full precision it is merged: as fast as the base, the same numbers to 1e-6. Over
    bf16 or quantized weights it stays beside them in fp32, as it was trained.
    """
    inner = model[0].model
    if keeping.whole:
        from peft import PeftModel

        device = str(next(inner.parameters()).device)
        adapted: Any = PeftModel.from_pretrained(inner, str(adapter), torch_device=device)
        model[0].model = adapted.merge_and_unload()
        return
    model.load_adapter(str(adapter))
    trainable_in_fp32(inner)
    copy_exactly(inner, adapter)


def trainable_in_fp32(inner: torch.nn.Module) -> None:
    """Adapter weights (and heads trained along) in fp32: bf16 would lose small updates."""
    for name, module in inner.named_modules():
        if "lora_" in name or "modules_to_save" in name:
            for parameter in module.parameters(recurse=False):
                if parameter.is_floating_point():
                    parameter.data = parameter.data.float()


def copy_exactly(inner: torch.nn.Module, adapter: Path) -> None:
    """The saved adapter's numbers into an adapter that is there, unrounded: loading it had
    rounded them to its base's format."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    saved = load_file(str(adapter / "adapter_model.safetensors"))
    prefix = "base_model.model."
    set_peft_model_state_dict(
        inner, {name.removeprefix(prefix): value for name, value in saved.items()}
    )


def restore_modules(model: Any, folder: Path) -> None:
    """The saved numbers, unrounded, of what stands beside the transformer.

    Nothing where a folder has the transformer alone, or was made into a model of another kind.
    """
    from safetensors.torch import load_file

    path = folder / "modules.json"
    if not path.is_file():
        return
    saved = json.loads(path.read_text(encoding="utf-8"))
    for about, module in list(zip(saved, model, strict=False))[1:]:
        weights = folder / about["path"] / "model.safetensors"
        same = str(about["type"]).rpartition(".")[2] == type(module).__name__
        if same and weights.is_file():
            module.load_state_dict(load_file(str(weights)))


def _transformer_folder(base: Path) -> Path:
    """Where the transformer lies in a model's folder; sentence-transformers may nest it."""
    if (base / "config.json").is_file():
        return base
    nested = sorted(path.parent for path in base.glob("*/config.json") if _has_weights(path.parent))
    if not nested:
        raise ModelUnusable(f"{base} has no transformer that an adapter could be put on.")
    return nested[0]


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))


def _replace(source: Path, link: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(source)
