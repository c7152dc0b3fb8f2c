"""The task 'quantize': a model in another format, checked against the original, as a model.

Imports torch: worker processes only.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import BadInput, WorkbenchError
from workbench.jobs.files import folder_bytes, write_made
from workbench.jobs.reporting import JobContext
from workbench.merging.merge import write_model
from workbench.merging.probe import Numbers, max_difference, numbers, probe_from
from workbench.models.contract import Contract
from workbench.models.load import explain, load_model
from workbench.models.locate import LocalModel, locate, locate_folder
from workbench.models.quantized import QUANTIZATION_METHODS
from workbench.models.registry import from_job, new_model
from workbench.plurals import counted
from workbench.quantization.prepare import refuse
from workbench.recipes.quantize import QuantizeRecipe
from workbench.takeaway.snippet import HERE, snippet

# The README of a quantized model: what it is, and how to use it outside.

_PAGE = """\
---
{tags}
---

# {name}

The model `{source}`, quantized. {how}

```python
{use}
```

Prompts and lengths are saved in `contract.json`.
"""


def write_card(folder: Path, name: str, source: str, contract: Contract) -> None:
    page = _PAGE.format(
        tags="tags: [retrieval, quantized]",
        name=name,
        source=source,
        how=QUANTIZATION_METHODS.get(contract.weights).how,
        use=snippet(contract, HERE),
    )
    (folder / "README.md").write_text(page, encoding="utf-8")


def convert(
    local: LocalModel,
    method: str,
    folder: Path,
    *,
    device: str = "auto",
    stop: Callable[[], None] = lambda: None,
) -> Contract:
    """Write the model as ``method`` says into an empty folder, with its contract.

    ``stop`` is called between the steps and may raise. Raises :class:`BadInput` for an adapter, and
    :class:`ModelUnusable` where the library that does it cannot do it with this model.
    """
    if local.base is not None:
        raise BadInput(
            f"'{local.name}' is an adapter: what is quantized are a whole model's weights.",
            f"Merge it first: python -m workbench merge {local.name}",
        )
    chosen = QUANTIZATION_METHODS.get(method)
    quantizer = chosen.load()
    stop()
    loaded: Any = load_model(
        local,
        device="cpu" if chosen.graph else device,
        precision="fp32",
        keeping=quantizer.loading,
    )
    contract: Contract = loaded.contract.model_copy(
        update={"weights": method, "base_model": local.name}
    )
    stop()
    try:
        quantizer.quantize(loaded.model)
        write_model(loaded.model, contract, folder)
        stop()
        quantizer.finish(loaded.model, folder, stop)
    except WorkbenchError:
        raise
    except Exception as error:
        raise explain(local.name, error) from error
    return contract


class ParityFailed(WorkbenchError):
    """The quantized model does not compute what its original computes."""

    code = "parity-failed"


def run(recipe: QuantizeRecipe, context: JobContext) -> dict[str, Any]:
    """Convert, read back from disk, compare with the original on real texts, register.

    Raises :class:`ParityFailed` where numbers are none, or are further from the original's than the
    method allows, and what an unusable model raises. Nothing is kept then.
    """
    workspace = context.workspace
    model = locate(workspace, recipe.model)
    refuse(model, recipe.method)
    id, folder = workspace.models.new_folder()
    try:
        return _quantize(recipe, context, model, id, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _quantize(
    recipe: QuantizeRecipe, context: JobContext, model: LocalModel, id: str, folder: Path
) -> dict[str, Any]:
    workspace = context.workspace
    context.progress(0, 3, message=f"Writing {recipe.method}")
    contract = convert(
        model,
        recipe.method,
        folder,
        device=recipe.device,
        stop=context.check_cancelled,
    )
    name = workspace.models.free_name(recipe.name or f"{model.name}-{recipe.method}")
    write_card(folder, name, model.name, contract)
    context.check_cancelled()
    context.progress(1, 3, message="Comparing with the original")
    parity = _parity(recipe, context, model, folder)
    summary = {
        "origin": "quantized",
        "source": model.name,
        "method": recipe.method,
        "parity": parity,
        "bytes": folder_bytes(folder),
        "bytes_before": folder_bytes(model.folder),
    }
    record = new_model(id, name, contract=contract.model_dump(mode="json"), summary=summary)
    result = {"model": name, "id": id, "contract": contract.model_dump(mode="json"), **summary}
    write_made(context.folder, record.path, result)
    workspace.models.add(replace(from_job(record, context.job.id), base=model.name))
    return result


def _parity(
    recipe: QuantizeRecipe, context: JobContext, model: LocalModel, folder: Path
) -> dict[str, Any]:
    """How near the numbers of the saved model are to those of the original, on real texts."""
    saved = locate_folder(context.workspace, folder)
    stop = context.check_cancelled
    probe = probe_from(None, saved.contract, stop)
    found = []
    for one in (model, saved):
        context.check_cancelled()
        loaded = load_model(one, device=recipe.device, precision="fp32")
        found.append(numbers(loaded, probe, stop))
        del loaded
    first, second = found
    largest, mean = max_difference(first, second)
    allowed = QUANTIZATION_METHODS.get(recipe.method).allowed
    if not np.isfinite(largest) or (allowed is not None and largest > allowed):
        raise ParityFailed(
            f"Read back, the model in {recipe.method} is {largest:.3g} from the original on "
            f"{counted(len(probe.queries) + len(probe.documents), 'text')}.",
            "Choose another method; this one does not suit the model.",
        )
    return {
        "texts": len(probe.queries) + len(probe.documents),
        "from": probe.origin,
        "largest_difference": largest,
        "mean_difference": mean,
        "allowed": allowed,
        "agreement": _agreement(first, second),
    }


def _agreement(first: Numbers, second: Numbers) -> float:
    """The mean cosine of vectors, or the correlation of a reranker's scores."""
    if len(first) == 1:
        return float(np.corrcoef(first[0], second[0])[0, 1])
    return float(np.mean([_cosine(a, b) for a, b in zip(first, second, strict=True)]))


def _cosine(first: Any, second: Any) -> float:
    """Of two vectors, or of a text's token vectors laid end to end."""
    one, other = first.ravel(), second.ravel()
    return float(one @ other / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-12))
