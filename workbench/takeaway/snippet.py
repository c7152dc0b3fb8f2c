"""'Use this model': the lines a program elsewhere needs, prompts and pooling spelled out.

Torch-free. The page, the command line and the model's README show the same lines.
"""

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from workbench.comparison.table import LENGTHS
from workbench.errors import BadInput, JobNotFound, ModelUnusable, WorkbenchError
from workbench.models import registry
from workbench.models.contract import CONTRACT_FILE, PICTURES, Contract
from workbench.models.inspect import read_json
from workbench.models.quantized import QUANTIZATION_METHODS, is_graph
from workbench.models.resolve import ResolvedModel, from_folder
from workbench.recipes.decided import as_decided
from workbench.recipes.train import KINDS, TrainRecipe
from workbench.records import Model
from workbench.workspace import Workspace

_PLAIN = """\
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling

transformer = Transformer($where)
pooling = Pooling(transformer.get_embedding_dimension(), "$pooling")
model = SentenceTransformer(modules=[transformer, pooling])
$load"""

_TWO = """\
from sentence_transformers import SentenceTransformer

model = SentenceTransformer($where)  # reads the texts
$load
from PIL import Image, ImageOps

eyes = SentenceTransformer($pictures)  # reads the pictures
pictures = [ImageOps.exif_transpose(Image.open("a-picture.jpg")).convert("RGB")]
model.max_seq_length = $query_max_len
queries = model.encode(["a caption"], prompt=$query_prompt, normalize_embeddings=$normalize)
documents = eyes.encode(pictures, normalize_embeddings=$normalize)
scores = queries @ documents.T  # higher is better"""

_GRAPH = """\
import numpy
import onnxruntime
from transformers import AutoTokenizer

# A graph for ONNX Runtime.
tokenizer = AutoTokenizer.from_pretrained($where)
session = onnxruntime.InferenceSession($where + "/onnx/model.onnx")
inputs = [one.name for one in session.get_inputs()]

def run(texts, length):
    batch = tokenizer(
        texts, padding=True, truncation=True, max_length=length, return_tensors="np"
    )
    found = session.run(None, {name: batch[name].astype("int64") for name in inputs})[0]
    return found, batch["attention_mask"]
"""

_GRAPH_EMBEDDING = """\

def encode(texts, prompt, length):
    tokens, mask = run([prompt + text for text in texts], length)
$pool
    return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True) if $normalize else vectors

def document_of(title, text):
    return title + $separator + text if title else text

queries = encode(["a question"], $query_prompt_text, $query_max_len)
texts = [document_of("a title", "a text"), document_of("", "another text")]
documents = encode(texts, $document_prompt_text, $passage_max_len)
scores = queries @ documents.T  # higher is better"""

_GRAPH_RERANKER = """\

pairs = [("a question", "a text"), ("a question", "another text")]
scores = run(pairs, $both)[0]  # higher is better"""

_GRAPH_OTHER = """\
# Beyond the graph this model projects or pools in a way of its own: use it in the workbench, or
# with optimum-onnx, by $cls($where, backend="onnx")."""

_POOL = {
    "mean": """\
    shown = mask[:, :, None].astype("float32")
    vectors = (tokens * shown).sum(axis=1) / shown.sum(axis=1)""",
    "cls": "    vectors = tokens[:, 0]",
    "lasttoken": """\
    last = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    vectors = tokens[numpy.arange(len(tokens)), last]""",
}

HERE = "path/to/the/folder"


def snippet(contract: Contract, where: str = HERE, *, plain: bool = False) -> str:
    """Python lines that load and use the model as it was trained and measured.

    ``where``: its folder or hub id; ``plain``: the folder holds a bare transformer, whose pooling
    sentence-transformers would have to guess.
    """
    kind = contract.model_kind
    text = _TWO if contract.pictures_by else kind.snippet
    if is_graph(contract):
        text = _graph(contract)
    if plain and (kind.pools or contract.pictures_by):
        # What loads the model is replaced; what uses it stays.
        text = _PLAIN + text.partition("$load")[2]
    return Template(text).substitute(
        where=repr(where),
        pictures=repr(f"{where}/{PICTURES}"),
        pooling=contract.pooling,
        separator=repr(contract.title_separator),
        normalize=contract.normalize,
        query_prompt=repr(contract.query_prompt or None),
        document_prompt=repr(contract.document_prompt or None),
        query_max_len=contract.query_max_len,
        passage_max_len=contract.passage_max_len,
        both=contract.query_max_len + contract.passage_max_len,
        load=_kept(contract),
        pool=_POOL.get(contract.pooling, ""),
        query_prompt_text=repr(contract.query_prompt),
        document_prompt_text=repr(contract.document_prompt),
        cls=kind.library_class,
    )


def _graph(contract: Contract) -> str:
    """Lines for ONNX Runtime alone, where a graph and its pooling are the whole model."""
    if contract.model_kind.reads_pairs:
        return _GRAPH + _GRAPH_RERANKER
    if contract.model_kind.pools and contract.pooling in _POOL:
        return _GRAPH + _GRAPH_EMBEDDING
    return _GRAPH_OTHER


def use_lines(workspace: Any, model: Model, where: str = "") -> str:
    """:func:`snippet` of a workspace's model: from the folder it is in, or from ``where``."""
    folder = workspace.path(model.path)
    plain = not any((folder / name).is_file() for name in ("modules.json", "adapter_config.json"))
    return snippet(Contract.model_validate(model.contract), where or str(folder), plain=plain)


def _kept(contract: Contract) -> str:
    """How the frozen weights under an adapter were kept: the scores are those of this format."""
    packages = (
        QUANTIZATION_METHODS.get(contract.weights).packages
        if contract.weights in QUANTIZATION_METHODS
        else ()
    )
    if packages and not is_graph(contract):
        names = ", ".join(packages)
        return f"# Kept in fewer bits: this needs the packages {names} and accelerate.\n"
    if contract.quantization:
        return (
            f"# Trained over weights in {contract.quantization}; loaded like this, over full "
            "precision, scores differ a little.\n"
        )
    if contract.dtype == "bfloat16":
        return "# Trained over weights in bfloat16; over float32 scores differ a little.\n"
    return ""


# Which run made a model, and what its base is called outside the workspace.

CONFIG = "training_config.json"


@dataclass(frozen=True, slots=True)
class Origin:
    """A trained model's recipe, and what 'auto' and empty fields came to."""

    model: Model
    folder: Path
    recipe: TrainRecipe
    resolved: dict[str, Any]

    @property
    def contract(self) -> Contract:
        return Contract.model_validate(self.resolved["contract"])

    @property
    def lengths(self) -> dict[str, int]:
        """After how many tokens the run cut texts; older runs wrote it into the contract."""
        contract = self.contract
        own = {name: getattr(contract, name) for name in LENGTHS}
        return {**own, **self.resolved.get("training_lengths", {})}

    @property
    def decided(self) -> dict[str, Any]:
        """What the run settled before it trained this model, by the decision's name."""
        return {one["name"]: one["value"] for one in self.model.summary.get("decisions", ())}


def origin(workspace: Any, model: Model) -> Origin:
    """What the run left in the model's folder; raises :class:`BadInput` where there was no run."""
    folder = workspace.path(model.path)
    values = read_json(folder / CONFIG, missing={})
    resolved = values.pop("resolved", None)
    if not resolved:
        raise BadInput(
            f"'{model.name}' was not trained in this workspace, so there is no run to repeat.",
            "Choose a model that a training run made.",
        )
    return Origin(model, folder, _recipe_of(workspace, model, values), resolved)


def _recipe_of(workspace: Any, model: Model, values: dict[str, Any]) -> TrainRecipe:
    """By the names that its things have now, as long as the run is on record, else as in its
    folder; raises :class:`BadInput` where one of them is gone."""
    with suppress(JobNotFound):
        recipe = workspace.jobs.recipe(model.job_id or "")
        if isinstance(recipe, TrainRecipe):
            # What the run decided stands in the folder.
            return as_decided(recipe, values)
    return KINDS[model.kind].read(values)


def name_elsewhere(base: ResolvedModel, workspace: Any) -> str:
    """What a program on another machine finds the model by: a hub id where it has one, else the
    name it has here. Never a path of this machine."""
    if base.name in registry.ALIASES:
        return registry.ALIASES[1]
    if not base.local:
        return base.source
    known = workspace.models.exists(base.name)
    source = str(workspace.models.get(base.name).summary.get("source") or "") if known else ""
    if source.count("/") == 1 and not source.startswith((".", "/", "~")):
        return source
    parts = Path(base.source).parts
    if "snapshots" in parts:
        # The hub's cache: models--owner--name/snapshots/revision.
        cached = parts[parts.index("snapshots") - 1]
        return cached.removeprefix("models--").replace("--", "/", 1)
    return base.name


# A model's files as they are taken away: without a path of this machine in them.

ADAPTER_FILE = "adapter_config.json"


def replaced_files(workspace: Any, model: Model) -> dict[str, bytes]:
    """The files of the model's folder that name its base, by their relative paths, rewritten.

    Programs elsewhere find an adapter's base by the name in adapter_config.json: a hub id where it
    has one, else the base's name here, under which it must be taken along. A folder of this machine
    would mean nothing there.
    """
    folder = workspace.path(model.path)
    found: dict[str, bytes] = {}
    base = _base_name(workspace, model, folder)
    if base:
        config = read_json(folder / ADAPTER_FILE)
        found[ADAPTER_FILE] = _json({**config, "base_model_name_or_path": base})
    for name, field in ((CONTRACT_FILE, "base_model"), (CONFIG, "model")):
        values = read_json(folder / name, missing={})
        if _is_path(values.get(field)):
            found[name] = _json({**values, field: base or Path(str(values[field])).name})
    return found


def missing_base(workspace: Any, model: Model) -> str:
    """The name of an adapter's base that exists in this workspace only, or ''."""
    base = _base_name(workspace, model, workspace.path(model.path))
    return "" if "/" in base else base


def _base_name(workspace: Any, model: Model, folder: Path) -> str:
    if not (folder / ADAPTER_FILE).is_file():
        return ""
    try:
        base = from_folder(workspace, folder, model.name, model).base
    except ModelUnusable:
        # The base is not here any more; the adapter can be taken along all the same.
        wanted = str(read_json(folder / ADAPTER_FILE).get("base_model_name_or_path", ""))
        return Path(wanted).name if _is_path(wanted) else wanted
    return name_elsewhere(base, workspace) if base else ""


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and (Path(value).is_absolute() or value.startswith(("~", ".")))


def _json(values: dict[str, Any]) -> bytes:
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


# A run's script, written in a process of its own: what decides its rows imports torch.


def write_in_own_process(workspace: Workspace, model: str, folder: Path) -> dict[str, Any]:
    """What ``takeaway.script`` writes, for a model's id; its torch stays out of this process.

    Takes some ten seconds. Raises :class:`BadInput` where there is no such script.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder.", "Name a new one.")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "workbench.takeaway.script",
            str(workspace.home),
            model,
            str(folder),
        ],
        env={**os.environ, **({"WORKBENCH_DB": workspace.url} if workspace.url else {})},
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    found = json.loads(lines[-1]) if lines else {}
    if error := found.get("error"):
        kind = BadInput if error["bad_input"] else WorkbenchError
        raise kind(error["message"], error["hint"])
    if done.returncode != 0:
        raise WorkbenchError(f"The script could not be written: {done.stderr[-300:].strip()}")
    return dict(found)
