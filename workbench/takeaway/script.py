"""The script that repeats a run, without the workbench. Imports torch: worker processes only.

``python -m workbench.takeaway.script HOME MODEL TO`` writes it in a process of its own.
"""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from inspect import getsource
from pathlib import Path
from string import Template
from typing import Any

from workbench.errors import BadInput, ModelUnusable, WorkbenchError
from workbench.model_kinds import ModelKind
from workbench.models.assemble import FULL, keeping_of, lacks_projection
from workbench.models.contract import Contract, has_token_head, template_of
from workbench.models.inspect import Layout, inspect_folder, read_json
from workbench.models.resolve import ResolvedModel, resolve
from workbench.records import Model
from workbench.takeaway import pieces
from workbench.takeaway.losses import GuideAs, Loss, loss_of
from workbench.takeaway.rows import write_projection, write_rows
from workbench.takeaway.snippet import Origin, name_elsewhere, origin
from workbench.training import chunks
from workbench.training.averaging import RANDOM_HALF, first
from workbench.training.distributed import ProcessGroup, across_devices
from workbench.training.loss import set_dropout, word_tables
from workbench.training.reranker import HEAD_RATE, HeadFirst
from workbench.training.run import training_arguments
from workbench.workspace import Workspace

# The script's ``load_model``, as models/assemble.py and training/loss.py do it.

_POOLING = "from sentence_transformers.sentence_transformer.modules import Pooling"


def load_function(
    script: Any,
    recipe: Any,
    contract: Contract,
    layout: Layout,
    keeping: Any,
    heads: list[str] | None,
    *,
    m3: bool,
    fresh: bool,
) -> str:
    """The function's text; what it imports is added to ``script``. ``heads``: trained whole beside
    an adapter; ``m3``: the base has bge-m3's head for a vector per token; ``fresh``: it has none.
    """
    kept = _kept(script, keeping)
    kind = recipe.model_kind
    if kind.reads_pairs:
        body = _reranker(script, contract, layout, kept)
    elif kind.token_vectors:
        body = _late(script, kept, m3=m3, fresh=fresh)
    else:
        body = _embedding(script, recipe, contract, layout, kept)
    body += pieces.PADDING
    if kind.reads_pairs and contract.architecture != "llm":
        body += (
            '    if getattr(model.config, "pad_token_id", None) is None:\n'
            "        model.config.pad_token_id = model.tokenizer.pad_token_id\n"
        )
    if keeping.quantization:
        body += pieces.STEADY
    if keeping.whole:
        body += "    model.float()\n"
    body += _method(script, recipe, heads) + _manner(recipe)
    before = pieces.PROJECTION if "projection(" in body else ""
    if before:
        script.imports.add("from sentence_transformers.base.modules import Dense")
    return f"{before}\n\ndef load_model():\n{body}    return model\n"


def _kept(script: Any, keeping: Any) -> str:
    """The expression for how weights are kept in memory."""
    dtype = str(keeping.dtype)
    if not keeping.quantization:
        return f'{{"dtype": {dtype}}}'
    script.imports.add("from transformers import BitsAndBytesConfig")
    skipped = ["classifier", "pooler", "score", "lm_head"]
    if keeping.quantization == "int8":
        config = f"load_in_8bit=True, llm_int8_skip_modules={skipped}"
    else:
        config = (
            f"load_in_4bit=True, bnb_4bit_quant_type={keeping.quantization!r}, "
            f"bnb_4bit_use_double_quant={keeping.double_quantization}, "
            f"bnb_4bit_compute_dtype={keeping.compute_dtype}, llm_int8_skip_modules={skipped}"
        )
    return (
        f'{{"dtype": {dtype}, "quantization_config": BitsAndBytesConfig({config}), '
        '"device_map": {"": DEVICE}}'
    )


def _embedding(script: Any, recipe: Any, contract: Contract, layout: Layout, kept: str) -> str:
    script.imports.add("from sentence_transformers import SentenceTransformer")
    if layout == "transformers":
        script.imports |= {
            _POOLING,
            "from sentence_transformers.base.modules import Normalize, Transformer",
        }
        mode = "mean" if contract.pooling == "other" else contract.pooling
        ends = ", Normalize()" if contract.normalize else ""
        return (
            Template(pieces.LOAD_PLAIN).substitute(kept=kept)
            + f"    pooling = Pooling(transformer.get_embedding_dimension(), {mode!r})\n"
            + f"    modules = [transformer, pooling{ends}]\n"
            + "    model = SentenceTransformer(modules=modules, device=DEVICE)\n"
        )
    text = f"    model = SentenceTransformer(BASE, device=DEVICE, model_kwargs={kept})\n"
    if recipe.pooling != "auto":
        script.imports.add(_POOLING)
        text += (
            "    for module in model:\n        if isinstance(module, Pooling):\n"
            f"            module.pooling_mode = {contract.pooling!r}\n"
        )
    return text


def _reranker(script: Any, contract: Contract, layout: Layout, kept: str) -> str:
    script.imports.add("from sentence_transformers import CrossEncoder")
    if contract.architecture == "llm" and layout == "transformers":
        script.imports |= {
            "from sentence_transformers.base.modules import Transformer",
            "from sentence_transformers.cross_encoder.modules import LogitScore",
        }
        asked = '{"chat_template": CHAT_TEMPLATE}' if contract.prompt_template else "{}"
        return Template(pieces.LOAD_LLM).substitute(kept=kept, asked=asked, answers=pieces.ANSWERS)
    labels = "" if contract.architecture == "llm" else "num_labels=1, "
    text = (
        f"    model = CrossEncoder(\n        BASE, device=DEVICE, {labels}"
        f"activation_fn=torch.nn.Identity(), model_kwargs={kept}\n    )\n"
    )
    if contract.architecture != "llm" or not contract.prompt_template:
        return text
    text += pieces.ASK
    if contract.yes_token and contract.no_token:
        script.imports.add("from sentence_transformers.cross_encoder.modules import LogitScore")
        text += pieces.ANSWERS + pieces.ASK_ANSWERS
    return text


def _late(script: Any, kept: str, *, m3: bool, fresh: bool) -> str:
    script.imports.add("from sentence_transformers import MultiVectorEncoder")
    if m3:
        script.imports |= {
            "from sentence_transformers.base.modules import Normalize, Transformer",
            "from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask",
            "from transformers.utils import cached_file",
        }
        return Template(pieces.LOAD_PLAIN).substitute(kept=kept) + pieces.LOAD_M3
    made = f"    model = MultiVectorEncoder(BASE, device=DEVICE, model_kwargs={kept})\n"
    return made + pieces.LOAD_FRESH if fresh else made


def _method(script: Any, recipe: Any, heads: list[str] | None) -> str:
    text = ""
    if recipe.dropout is not None:
        script.parts.append(f"\n{getsource(set_dropout)}\n")
        text += f"    set_dropout(model, {recipe.dropout})\n"
    if recipe.method == "full":
        text += "    model.requires_grad_(True)\n"
        if recipe.freeze_word_embeddings:
            script.parts.append(f"\n{getsource(word_tables)}\n")
            text += "    for table in word_tables(model):\n        table.requires_grad_(False)\n"
        return text
    script.imports.add("from peft import LoraConfig")
    names = [name.strip() for name in recipe.target_modules.split(",") if name.strip()]
    plain = not names or names == ["all-linear"]
    return text + Template(pieces.ADAPTER).substitute(
        r=recipe.lora_r,
        alpha=recipe.lora_alpha,
        dropout=recipe.lora_dropout,
        targets=repr("all-linear" if plain else names),
        heads=repr(sorted(heads) if heads else None),
    )


def _manner(recipe: Any) -> str:
    """The prompts, and the lengths that the run cut texts at."""
    if recipe.model_kind.reads_pairs:
        return (
            "    # A pair has room for both lengths.\n"
            "    model.max_seq_length = QUERY_MAX_LEN + PASSAGE_MAX_LEN\n"
        )
    text = '    model.prompts = {"query": QUERY_PROMPT, "document": DOCUMENT_PROMPT}\n'
    text += "    model.max_seq_length = max(QUERY_MAX_LEN, PASSAGE_MAX_LEN)\n"
    if recipe.model_kind.pools:
        text += "    model.default_prompt_name = None\n"
    return text


#: What the workbench needs of the trainer and a script does not.
_LEFT_OUT = frozenset({
    "output_dir", "use_cpu", "eval_strategy", "save_strategy", "save_steps", "save_total_limit",
    "metric_for_best_model", "greater_is_better", "load_best_model_at_end", "dataloader_pin_memory",
    "logging_nan_inf_filter", "ddp_timeout",
})  # fmt: skip
_PACKAGES = ("sentence-transformers", "transformers", "torch", "datasets", "accelerate")


@dataclass
class Pieces:
    """A script as it grows: lines of imports, constants by name, and the parts themselves."""

    imports: set[str] = field(default_factory=set)
    constants: dict[str, Any] = field(default_factory=dict)
    parts: list[str] = field(default_factory=list)


def write_script(workspace: Any, model: Model, folder: Path) -> dict[str, Any]:
    """Write train.py, its rows and batches, and README.md into ``folder``; returns their number.

    Raises :class:`BadInput` where the model was not trained here, or its data is another by now.
    """
    of = origin(workspace, model)
    kind = of.recipe.model_kind
    if kind.reads_pictures:
        raise BadInput(
            "There is no script for runs on pictures: it would need the data set's picture files.",
            "Take the model itself away; its README says how to use it.",
        )
    if not kind.scripted:
        raise BadInput(
            f"There is no script for runs of the kind '{kind.name}'.",
            "Take the model itself away; its README says how to use it.",
        )
    if "seeds" in model.summary:
        raise BadInput(
            "There is no script for runs with several seeds: it would train one model, and the "
            "run may have kept the average of all.",
            "Take the model itself away, or train again with seeds set to 1.",
        )
    base = resolve(workspace, of.recipe.model)
    if base.base is not None:
        raise BadInput(
            f"The run began from the adapter '{base.name}', which a script cannot name alone.",
            "Merge the adapter into its base, and train from the merged model.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    rows = write_rows(workspace, of, folder)
    if kind.token_vectors and lacks_projection(_folder(base)):
        write_projection(workspace, of, folder / "projection.pt")
    (folder / "train.py").write_text(script(workspace, of, base), encoding="utf-8")
    about = {
        "name": model.name,
        "base_name": base.name,
        "dataset": of.recipe.dataset,
        "packages": _packages(of),
        "launch": _launch(_group(of)),
        "rows": f"{rows:,}",
    }
    readme = Template(pieces.README).substitute(about)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    return {"model": model.name, "folder": str(folder), "rows": rows}


def script(workspace: Any, of: Origin, base: ResolvedModel) -> str:
    """The text of train.py."""
    recipe: Any = of.recipe
    kind, contract = recipe.model_kind, of.contract
    place = _folder(base)
    # By the contract: QLoRA over bf16 once kept what it does not quantize in fp32.
    full = recipe.method == "full"
    keeping = FULL if full else keeping_of(contract, of.resolved["precision"])
    heads = read_json(of.folder / "adapter_config.json", missing={}).get("modules_to_save")
    script = Pieces()
    arguments_class, trainer_class = _classes(kind)
    # CrossEncoder's is cross_encoder.
    package = re.sub(r"(?<!^)(?=[A-Z])", "_", kind.library_class).lower()
    script.imports |= {
        "from datasets import Dataset",
        "from typing import Any",
        "from transformers import TrainerCallback, set_seed",
        "from sentence_transformers.base.sampler import DefaultBatchSampler",
        f"from sentence_transformers import {trainer_class}",
        f"from sentence_transformers.{package}.training_args import {arguments_class}",
    }
    together = _group(of)
    across = across_devices(recipe, together)
    loss = loss_of(recipe, contract, _guide(workspace, recipe, base), across=across)
    script.parts.append(pieces.ROWS)
    _collator(script, kind, recipe, contract)
    script.parts.append(pieces.BATCHES)
    _add_loss(script, loss)
    _add_chunks(script)
    script.parts.append(pieces.KEEPER)
    # What changes the weights after the last step comes before what saves them.
    callbacks = [*_after_last_step(script, of), "Keep(model)", *_head_first(script, of)]
    if contract.architecture == "llm":
        script.constants["ANSWERS"] = (contract.yes_token, contract.no_token)
        if contract.prompt_template:
            script.constants["CHAT_TEMPLATE"] = template_of(contract)
    layout = inspect_folder(place).layout
    own = {"m3": has_token_head(place), "fresh": lacks_projection(place)}
    script.parts.append(load_function(script, recipe, contract, layout, keeping, heads, **own))
    summary = of.model.summary
    script.constants["USED_MAX_LEN"] = contract.longest
    script.constants["KEEP_STEP"] = summary["best_step"]
    script.constants["LAST_STEP"] = summary["steps"]
    script.parts.append(_main(of, loss, kind, callbacks))
    head = Template(pieces.HEAD).substitute(
        name=of.model.name.replace("\\", "").replace('"', ""),
        packages=_packages(of),
        launch=_launch(together),
        kept=_what_is_kept(of, callbacks),
        imports=_imports(script.imports),
        base=repr(_base(base, workspace)),
        seed=recipe.seed,
        **of.lengths,
        constants="\n".join(f"{name} = {value!r}" for name, value in script.constants.items()),
    )
    return "\n".join(
        [head.rstrip() + "\n\n", *(part.strip("\n") + "\n\n" for part in script.parts)]
    )


def _imports(lines: set[str]) -> str:
    """One line per module, in order of their names."""
    modules: dict[str, set[str]] = {}
    for line in lines:
        module, names = line.removeprefix("from ").split(" import ")
        modules.setdefault(module, set()).update(names.split(", "))
    whole = [f"from {module} import {', '.join(sorted(modules[module]))}" for module in modules]
    return "\n".join(["import torch", *sorted(whole)])


def _classes(kind: ModelKind) -> tuple[str, str]:
    """The library's arguments and trainer."""
    return f"{kind.library_class}TrainingArguments", f"{kind.library_class}Trainer"


def _folder(base: ResolvedModel) -> Path:
    if base.folder is None:
        raise ModelUnusable(
            f"The base model '{base.name}' is not on this machine any more.",
            "Add it with 'models add' first.",
        )
    return base.folder


def _base(base: ResolvedModel, workspace: Any) -> str:
    """A hub id where there is one, which works everywhere; else the folder it is in here."""
    name = name_elsewhere(base, workspace)
    return name if "/" in name else base.source


def _collator(script: Pieces, kind: ModelKind, recipe: Any, contract: Any) -> None:
    if kind.reads_pairs:
        script.constants["LISTWISE"] = not recipe.chosen_objective.pointwise
        script.constants["RIGHT"] = recipe.chosen_objective.right
        script.parts.append(pieces.PAIRS)
        return
    script.constants["QUERY_PROMPT"] = contract.query_prompt
    script.constants["DOCUMENT_PROMPT"] = contract.document_prompt
    script.parts.append(pieces.BY_ROLE)


def _add_loss(script: Pieces, loss: Loss) -> None:
    script.imports |= set(loss.imports)
    script.constants |= loss.constants
    if loss.code:
        script.parts.append(loss.code)


def _head_first(script: Pieces, of: Origin) -> list[str]:
    """The callback that trains a fresh head alone at first, where the run had it."""
    head = of.resolved.get("head", {})
    if not head.get("steps"):
        return []
    source = re.sub(r"  # (type|noqa).*", "", getsource(HeadFirst))
    script.parts.append(f"\n{source}\n")
    parts = list(head["parts"])
    return [f"HeadFirst(model, {parts!r}, {head['steps']}, {HEAD_RATE!r})"]


def _after_last_step(script: Pieces, of: Origin) -> list[str]:
    """The callbacks that average and blend the weights, as training/averaging.py does it, where
    the run had them and what it kept are the weights after its last step."""
    steps = of.resolved.get("steps")
    if of.model.summary["best_step"] != steps:
        return []
    callbacks = []
    if of.recipe.average_weights:
        script.constants["AVERAGE_AFTER"] = first(of.recipe.average_weights, steps)
        script.parts.append(pieces.AVERAGE)
        callbacks.append("Average(model)")
    share = of.decided.get("blend", 1.0)
    if share != 1.0:
        script.constants["RANDOM_HALF"] = RANDOM_HALF
        script.constants["TRAINED_SHARE"] = share
        script.parts.append(pieces.BLEND)
        callbacks.append("Blend(model)")
    return callbacks


def _what_is_kept(of: Origin, callbacks: Sequence[str]) -> str:
    """In words. Only a run that was measured as it went had checkpoints to choose the best of."""
    step = of.model.summary["best_step"]
    best = f"the checkpoint that was best on dev, of step {step}"
    kept = best if of.resolved.get("dev") else f"the weights after the last step, {step}"
    changed = {"Average(model)": "averaged", "Blend(model)": "blended with the base's"}
    return ", ".join([kept, *(words for made, words in changed.items() if made in callbacks)])


def _add_chunks(script: Pieces) -> None:
    """How a batch is computed, which decides what dropout draws."""
    imports, code = getsource(chunks).split("\n\nFeatures = ")
    script.imports |= {line for line in imports.splitlines() if line.startswith("from ")}
    script.parts.append(f"\nFeatures = {code}\n")


def _group(of: Origin) -> ProcessGroup:
    return ProcessGroup(size=int(of.resolved.get("devices", 1)))


def _launch(together: ProcessGroup) -> str:
    """The program that starts the script, on as many devices as the run had."""
    if together.size == 1:
        return "python"
    return f"torchrun --nproc_per_node {together.size}"


def _guide(workspace: Any, recipe: Any, base: ResolvedModel) -> GuideAs | None:
    if not recipe.chosen_objective.guided:
        return None
    if not recipe.guide_model:
        return GuideAs("", base.contract or Contract())
    guide = resolve(workspace, recipe.guide_model)
    return GuideAs(_base(guide, workspace), guide.contract or Contract())


def _main(of: Origin, loss: Loss, kind: ModelKind, callbacks: list[str]) -> str:
    recipe: Any = of.recipe
    arguments_class, trainer_class = _classes(kind)
    make: Any = training_arguments
    # The very arguments of the run: the function hands them to whatever class it is given.
    given = make(
        dict,
        recipe,
        Path(),
        device=of.resolved["device"],
        precision=of.resolved["precision"],
        group=_group(of),
        steps=of.resolved.get("steps"),
        head=of.resolved.get("head", {}).get("steps", 0),
    )
    if not recipe.gradient_checkpointing:
        given = {name: value for name, value in given.items() if "checkpointing" not in name}
    kept = {name: value for name, value in given.items() if name not in _LEFT_OUT}
    lines = [f"        {name}={value!r}," for name, value in kept.items()]
    lines.append('        save_strategy="no",')
    return Template(pieces.MAIN).substitute(
        arguments_class=arguments_class,
        trainer_class=trainer_class,
        arguments="\n".join(lines),
        loss=loss.make,
        callbacks=", ".join(callbacks),
        collator="Pairs" if kind.reads_pairs else "ByRole",
    )


def _packages(of: Origin) -> str:
    names = list(_PACKAGES)
    if of.recipe.method != "full":
        names.append("peft")
    if of.recipe.method == "qlora":
        names.append("bitsandbytes")
    return " ".join(f"{name}=={version(name).partition('+')[0]}" for name in names)


def main(home: str, model: str, folder: str) -> int:
    """One JSON document on stdout: what was written, or the error."""
    workspace = Workspace.open(home)
    try:
        written = write_script(workspace, workspace.models.get(model), Path(folder))
    except WorkbenchError as error:
        print(json.dumps({"error": error.to_dict()}))
        return 1
    finally:
        workspace.close()
    print(json.dumps(written))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
