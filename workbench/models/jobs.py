"""The task ``add-model``: copy, convert, try, register. Imports torch: worker processes only."""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.errors import BadInput, InUse, ModelUnusable
from workbench.jobs.files import folder_bytes, write_made
from workbench.jobs.reporting import JobContext
from workbench.models.architecture import pickled_of, safetensors_of
from workbench.models.contract import CONTRACT_FILE, Contract, template_of
from workbench.models.files import copy_model
from workbench.models.inspect import inspect_folder, read_json, read_list
from workbench.models.locate import LocalModel, convert_in_place, fetch, locate
from workbench.models.named_classes import refuse_foreign_classes
from workbench.models.registry import from_job, new_model
from workbench.models.resolve import ResolvedModel, from_folder, resolve
from workbench.models.rules import OWN_FILES, Rules, answer_id, pooling_config
from workbench.models.towers import pair_checked, pictures_of, with_pictures
from workbench.recipes.base import ContractRecipe
from workbench.recipes.data import AddModelRecipe
from workbench.workspace import Workspace

if TYPE_CHECKING:
    from storage.records import Model
    from workbench.workspace import Workspace


# A model's contract changed after the fact: in its record and in its own files.
#
# sentence-transformers alone reads a folder's own files, so what they say of pooling, prompts and
# lengths changes along with contract.json: elsewhere the model is used as it is here.

#: Where a model's weights come from when nothing was trained here.
_FROM_ELSEWHERE = ("added", "packaged")
_CARD = "README.md"
_CHANGED = "\n## Changed after it was made\n"


@dataclass(frozen=True, slots=True)
class Edited:
    """What came of it: the model as it is now, the changed fields, and what else to know."""

    model: "Model"
    changed: tuple[str, ...]
    notes: tuple[str, ...]


def rules_for(resolved: ResolvedModel, *, trained: bool = False) -> Rules:
    """What can be said of a model that is on this machine."""
    base = Path(resolved.base.source) if resolved.base and resolved.base.local else None
    found = inspect_folder(Path(resolved.source))
    return Rules(found, resolved.contract or found.contract, trained, base)


def rules_of(workspace: "Workspace", model: "Model") -> Rules:
    """What can be said of a model of the workspace."""
    folder = workspace.models.folder(model.id)
    resolved = from_folder(workspace, folder, model.name, model)
    return rules_for(resolved, trained=model.summary.get("origin") not in _FROM_ELSEWHERE)


def edit(workspace: "Workspace", name: str, wanted: ContractRecipe) -> Edited:
    """Change a model's contract; the old one stays whole until the new one is.

    Raises :class:`BadRecipe` with a sentence per field that makes no sense, and :class:`InUse`
    while a job, an index or an adapter needs the model as it is.
    """
    model = workspace.models.get(name)
    rules = rules_of(workspace, model)
    new = rules.apply(wanted)
    changed = differences(rules.contract, new)
    if not changed:
        return Edited(model, (), ())
    notes = _needed(workspace, model, changed)
    folder = workspace.models.folder(model.id)
    files = {path: path.read_bytes() if path.is_file() else None for path in _touched(rules, new)}
    try:
        write(rules, new)
        _note_on_card(folder / _CARD, new, changed)
        now = replace(model, kind=new.kind, contract=new.model_dump(mode="json"))
        now = workspace.models.update(now)
    except BaseException:
        _put_back(files)
        raise
    return Edited(now, changed, notes)


def differences(old: Contract, new: Contract) -> tuple[str, ...]:
    """The fields in which two contracts differ."""
    return tuple(name for name in Contract.model_fields if getattr(old, name) != getattr(new, name))


def write(rules: Rules, new: Contract) -> None:
    """The model's own files and contract.json, each replaced whole, the contract last."""
    for path, content in own_files(rules, new).items():
        _replace(path, content)
    new.write(rules.found.path)


def own_files(rules: Rules, new: Contract) -> dict[Path, bytes]:
    """The files in which the model says itself what changed, as they should be."""
    changed = differences(rules.contract, new)
    found: dict[Path, bytes] = {}
    if "causal" in changed:
        path = rules.transformer / "config.json"
        found[path] = _json(_with_direction(read_json(path), new.causal))
    if not (rules.found.path / "modules.json").is_file():
        return found
    found |= dict(_module_files(rules, new, changed))
    return found


def _module_files(
    rules: Rules, new: Contract, changed: tuple[str, ...]
) -> Iterator[tuple[Path, bytes]]:
    folder = rules.found.path
    path = pooling_config(folder) if "pooling" in changed else None
    if path is not None:
        kept = {k: v for k, v in read_json(path).items() if not k.startswith("pooling_mode")}
        yield path, _json({**kept, "pooling_mode": new.pooling})
    if "normalize" in changed:
        path = folder / "modules.json"
        modules = [one for one in read_list(path) if not _is(one, "Normalize")]
        yield path, _json(modules)
    if {"query_prompt", "document_prompt"} & set(changed):
        path = folder / "config_sentence_transformers.json"
        prompts = {"query": new.query_prompt, "document": new.document_prompt}
        about = read_json(path, missing={})
        yield path, _json({**about, "prompts": prompts, "default_prompt_name": None})
    if {"query_max_len", "passage_max_len"} & set(changed):
        for path in sorted(rules.transformer.glob("sentence_*_config.json")):
            about = read_json(path)
            if "max_seq_length" in about:
                yield path, _json({**about, "max_seq_length": new.longest})
    if new.architecture == "llm":
        yield from _answer_files(rules, new, changed)


def _answer_files(
    rules: Rules, new: Contract, changed: tuple[str, ...]
) -> Iterator[tuple[Path, bytes]]:
    answers = {"yes_token", "no_token"} & set(changed)
    if answers or {"instruction", "prompt_template"} & set(changed):
        yield rules.transformer / "chat_template.jinja", template_of(new).encode()
    for module in read_list(rules.found.path / "modules.json") if answers else []:
        if _is(module, "LogitScore"):
            path = rules.found.path / str(module["path"]) / "config.json"
            ids = [answer_id(rules.tokenizer_file(), one) for one in (new.yes_token, new.no_token)]
            tokens = {"true_token_id": ids[0], "false_token_id": ids[1]}
            yield path, _json({**read_json(path), **tokens})


def _needed(workspace: "Workspace", model: "Model", changed: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse while something needs the model as it is; else what goes on with the old contract."""
    if jobs := list(workspace.models.working(model)):
        raise InUse(
            f"The model '{model.name}' is needed by {', '.join(jobs)}.",
            "Wait until the job is done, or cancel it.",
        )
    indexes = [one.name for one in workspace.indexes.list() if one.model_id == model.id]
    deep = [name for name in changed if name in OWN_FILES]
    adapters = [
        one.name for one in workspace.models.list() if one.summary.get("base_id") == model.id
    ]
    if deep and (indexes or adapters):
        users = [f"the index '{one}'" for one in indexes]
        users += [f"the adapter '{one}'" for one in adapters]
        raise InUse(
            f"Changing {', '.join(deep)} would make {', '.join(users)} wrong.",
            "Remove those first, change the contract, and build them again.",
        )
    notes = [
        f"The index '{one}' keeps the settings it was built with; rebuild it to use the new ones."
        for one in indexes
    ]
    measured = any(one.model_id == model.id for one in workspace.evaluations.list())
    if model.summary.get("best") or measured:
        notes.append("What was measured before was measured with the old contract; compare again.")
    return tuple(notes)


def _touched(rules: Rules, new: Contract) -> list[Path]:
    return [*own_files(rules, new), rules.found.path / CONTRACT_FILE, rules.found.path / _CARD]


def _put_back(files: Mapping[Path, bytes | None]) -> None:
    for path, content in files.items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            _replace(path, content)


def _replace(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(content)
    beside.replace(path)


def _note_on_card(path: Path, new: Contract, changed: tuple[str, ...]) -> None:
    """The card in the folder says how the model was made; below it, what is different now."""
    if not path.is_file():
        return
    before = path.read_text(encoding="utf-8").partition(_CHANGED)
    kept = [
        line
        for line in before[2].splitlines()
        if line and not any(f"`{name}`" in line for name in changed)
    ]
    now = [f"- `{name}` is now `{getattr(new, name)!r}`" for name in changed]
    text = before[0].rstrip() + "\n" + _CHANGED + "\n" + "\n".join([*kept, *now]) + "\n"
    _replace(path, text.encode())


def _with_direction(config: dict[str, Any], causal: bool) -> dict[str, Any]:
    if isinstance(config.get("text_config"), dict):
        return {**config, "text_config": {**config["text_config"], "is_causal": causal}}
    return {**config, "is_causal": causal}


def _is(module: dict[str, Any], name: str) -> bool:
    return str(module.get("type", "")).rpartition(".")[2] == name


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


_TRIAL = "A short text, to see whether the model encodes."


def run_add(recipe: AddModelRecipe, context: JobContext) -> dict[str, Any]:
    """Copy the model into the workspace; the result names it and says what was converted."""
    workspace = context.workspace
    source = Path(recipe.source)
    if not source.is_absolute():
        context.progress(0, None, message=f"Downloading {recipe.source}")
        source = fetch(recipe.source)
    # Read before anything is copied: what is no model stops here.
    inspect_folder(source)
    refuse_foreign_classes(source, trust_remote_code=workspace.trust_remote_code)
    id, folder = workspace.models.new_folder()
    try:
        return _add(recipe, context, source, id, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _add(
    recipe: AddModelRecipe, context: JobContext, source: Path, id: str, folder: Path
) -> dict[str, Any]:
    size = _copy(source, folder, context)
    context.progress(size, size, "bytes", "Checking the weights")
    converted = convert_in_place(folder, context.check_cancelled)
    context.check_cancelled()
    models = context.workspace.models
    name = models.free_name(recipe.name)
    # The catalogue knows prompts and kinds that a hub model's own files leave out.
    hub_id = "" if Path(recipe.source).is_absolute() else recipe.source
    wanted = None if recipe.kind == "auto" else recipe.kind
    found = from_folder(context.workspace, folder, name, hub_id=hub_id, kind=wanted)
    local = _as_wanted(recipe, locate(context.workspace, found))
    if recipe.pictures_by:
        local = with_pictures(recipe.pictures_by, context, local, folder)
    contract = _try(local, context)
    contract.write(folder)
    context.check_cancelled()
    model = new_model(id, name, contract=contract.model_dump(), summary=_summary(recipe, local))
    result = {
        "model": name,
        "id": id,
        "bytes": folder_bytes(folder),
        "converted": converted,
        "contract": contract.model_dump(),
    }
    write_made(context.folder, model.path, result)
    models.add(from_job(model, context.job.id))
    return result


def _as_wanted(recipe: AddModelRecipe, local: LocalModel) -> LocalModel:
    """The model with what the recipe says of its contract, in its own files too."""
    rules = rules_for(local)
    new = rules.apply(recipe)
    if differences(rules.contract, new):
        write(rules, new)
    return replace(local, contract=new)


def _copy(source: Path, folder: Path, context: JobContext) -> int:
    return copy_model(
        source,
        folder,
        progress=lambda done, total: context.progress(done, total, "bytes", "Copying the model"),
        stop=context.check_cancelled,
        skip=_superfluous,
    )


def _superfluous(path: Path) -> bool:
    """Pickled weights beside the same ones as safetensors; not a head that only exists so."""
    return path in pickled_of(path.parent) and bool(safetensors_of(path.parent))


def _try(local: LocalModel, context: JobContext) -> Contract:
    """Use the model once; the contract with the vector's true length."""
    from PIL import Image

    from workbench.models.image_text import LoadedImageText
    from workbench.models.load import LoadedReranker, load_model

    context.progress(0, None, message="Trying the model")
    loaded = load_model(local, device="cpu")
    if isinstance(loaded, LoadedReranker):
        pair = np.array([[0, 0]], dtype=np.int64)
        _refuse_unusable(local.name, loaded.score([_TRIAL], [_TRIAL], pair), "scores")
        return loaded.contract
    if isinstance(loaded, LoadedImageText):
        seen = loaded.encode_pictures([Image.new("RGB", (64, 64), "grey")])
        _refuse_unusable(local.name, seen, "embeddings")
    size = 0
    for role in ("query", "document"):
        vectors = np.asarray(loaded.encode([_TRIAL], role)[0])
        _refuse_unusable(local.name, vectors, "embeddings")
        size = vectors.shape[-1]
    return loaded.contract.model_copy(update={"dimensions": size})


def _refuse_unusable(name: str, numbers: Any, what: str) -> None:
    if not np.isfinite(numbers).all() or not numbers.any():
        raise ModelUnusable(
            f"The model '{name}' gives no usable {what} (NaN or only zeros).",
            "Its weights may be damaged, or not those of a retrieval model.",
        )


def _summary(recipe: AddModelRecipe, local: LocalModel) -> dict[str, Any]:
    base = local.base
    about: dict[str, Any] = {"origin": "added", "source": recipe.source}
    return about | ({"adapter": True, "base_id": base.model_id} if base else {})


# Checks an ``add-model`` recipe when it is submitted.


def prepare_add(recipe: AddModelRecipe, workspace: Workspace, waits: bool) -> AddModelRecipe:
    """The recipe with an absolute source.

    Raises :class:`ModelUnusable` or :class:`ModelNotFound` where the source holds no model, and
    :class:`BadRecipe` where it cannot be used as asked. With ``waits``, the source may be something
    another job will make.
    """
    source = recipe.source.strip()
    folder = Path(source).expanduser()
    paired = bool(recipe.pictures_by.strip())
    if workspace.models.exists(source) and not folder.is_dir() and not paired:
        raise BadInput(f"The model '{source}' is in the workspace already.")
    if folder.is_dir():
        source = str(folder.absolute())
    name = recipe.name
    pictures = pictures_of(recipe)
    if not waits:
        found = resolve(workspace, source)
        source = found.source
        if found.local:
            # What is on the hub only is checked once it is here.
            rules_for(found).apply(recipe)
        pictures = pair_checked(recipe, found, workspace)
        if found.model_id and not name.strip():
            name = workspace.models.free_name(f"{found.name}-with-pictures")
    return recipe.model_copy(update={"source": source, "name": name, "pictures_by": pictures})
