"""Which classes the files of a model may name. Torch-free.

sentence-transformers imports what ``modules.json`` and other files of a folder name, and calls
``load`` of it: of anything below ``sentence_transformers.``, the modules that stand there for other
ends (``pickle``, ``torch``) included, and of anything below ``torch.`` as an activation. A folder
that somebody else made could run code that way. So each name is looked up in a list here first, and
so is what a folder's settings hand on to transformers.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.errors import ModelUnusable

_ROOT = "sentence_transformers"
#: Module classes of sentence-transformers by the file they stand in, in its packages of today.
_BASE = {
    "transformer": ("Transformer",),
    "dense": ("Dense",),
    "normalize": ("Normalize",),
    "router": ("Router", "Asym"),
}
_PACKAGES: dict[str, dict[str, tuple[str, ...]]] = {
    "base": {},
    "sentence_transformer": {
        "pooling": ("Pooling",),
        "clip_model": ("CLIPModel",),
        "static_embedding": ("StaticEmbedding",),
        "bow": ("BoW",),
        "cnn": ("CNN",),
        "dropout": ("Dropout",),
        "layer_norm": ("LayerNorm",),
        "lstm": ("LSTM",),
        "weighted_layer_pooling": ("WeightedLayerPooling",),
        "word_embeddings": ("WordEmbeddings",),
        "word_weights": ("WordWeights",),
    },
    "cross_encoder": {"logit_score": ("LogitScore",)},
    "multi_vector_encoder": {
        "multi_vector_mask": ("MultiVectorMask",),
        "token_pooling": ("HierarchicalTokenPooling",),
    },
    "sparse_encoder": {
        "mlm_transformer": ("MLMTransformer",),
        "sparse_auto_encoder": ("SparseAutoEncoder",),
        "sparse_static_embedding": ("SparseStaticEmbedding",),
        "splade_pooling": ("SpladePooling",),
    },
}
_TOKENIZERS = {
    "phrase": "PhraseTokenizer",
    "whitespace": "WhitespaceTokenizer",
    "word": "WordTokenizer",
}
_ACTIVATIONS = (
    "CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "Identity",
    "LeakyReLU", "LogSigmoid", "LogSoftmax", "Mish", "ReLU", "ReLU6", "RReLU", "SELU", "SiLU",
    "Sigmoid", "Softmax", "Softmin", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink",
)  # fmt: skip
#: Methods of a transformer that give vectors of an input; a file may name one for each modality.
_METHOD = re.compile(r"forward|get_[a-z]+_(features|embeddings?)")
#: What can be the path of a class of a package, or of a hub's repository.
_PATH = re.compile(r"[\w:-]+[./][\w./:-]+")
#: Keys whose value is a class's path.
_ACTIVATION_KEYS = frozenset({
    "activation_function", "activation_fn", "default_activation_function",
    "sbert_ce_default_activation_function",
})  # fmt: skip
_ATTENTION_KEYS = frozenset({"attn_implementation", "_attn_implementation"})
#: What a transformer's settings hand on to transformers, and what they may not decide: how, and
#: from where, files are read (without unpickling, from the model's folder).
_ARGUMENT_KEYS = frozenset({
    "model_args", "model_kwargs", "tokenizer_args", "processor_kwargs", "config_args",
    "config_kwargs",
})  # fmt: skip
_HOW_FILES_ARE_READ = frozenset({
    "weights_only", "use_safetensors", "trust_remote_code", "code_revision", "revision",
    "cache_dir", "subfolder", "gguf_file", "state_dict", "pretrained_model_name_or_path", "proxies",
    "tokenizer_file", "vocab_file", "merges_file", "offload_folder", "adapter_kwargs",
})  # fmt: skip
#: Large files that hold vocabularies and lists of weights and name no classes.
_NO_CLASSES = re.compile(r"(tokenizer|vocab|added_tokens|special_tokens_map)\.json|.*\.index\.json")
#: A file of settings has some kilobytes.
_MOST_BYTES = 4 << 20
_ALLOW = "Whoever starts the workbench can allow it with --trust-remote-code."
_HARMFUL = "Do not use this model: get it again from its source, and report the problem there."


def _module_paths() -> Iterator[str]:
    """Every path by which a module class was ever saved."""
    old = f"{_ROOT}.models"
    for package, own in _PACKAGES.items():
        for file, names in {**_BASE, **own}.items():
            for name in names:
                place = f"{_ROOT}.{package}.modules"
                yield from (f"{place}.{name}", f"{place}.{file}.{name}")
                olds = [f"{_ROOT}.sparse_encoder.models"] if package == "sparse_encoder" else [old]
                for where in olds:
                    yield from (f"{where}.{name}", f"{where}.{name}.{name}")


#: What ``modules.json`` and a router may name.
MODULES = frozenset({
    *_module_paths(),
    # PyLate's projection, which sentence-transformers takes for its own.
    "pylate.models.Dense.Dense",
})  # fmt: skip
#: What a module of word vectors may name.
TOKENIZERS = frozenset(
    path
    for file, name in _TOKENIZERS.items()
    for place in (f"{_ROOT}.sentence_transformer.modules.tokenizer", f"{_ROOT}.models.tokenizer")
    for path in (f"{place}.{name}", f"{place}.{file}.{name}", f"{place}.{name}.{name}")
)
#: What a projection or a reranker may name.
ACTIVATIONS = frozenset(
    path
    for name in _ACTIVATIONS
    for path in (
        f"torch.nn.{name}", f"torch.nn.modules.{name}", f"torch.nn.modules.activation.{name}",
        f"torch.nn.modules.linear.{name}",
    )
)  # fmt: skip


def refuse_foreign_classes(folder: Path, *, trust_remote_code: bool = False) -> None:
    """Raise :class:`ModelUnusable` where a file of the model names what is no part of one.

    ``trust_remote_code`` allows classes of other packages and of the folder itself; the libraries'
    own modules are no model's classes even then.
    """
    for path in sorted(_settings(folder)):
        try:
            said = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue  # Whoever needs the file says what is wrong with it.
        for name in _foreign(path, said):
            _refuse(path, name, trust_remote_code)


def _settings(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*.json"):
        if _NO_CLASSES.fullmatch(path.name) or not path.is_file():
            continue
        if path.stat().st_size <= _MOST_BYTES:
            yield path
        elif path.name == "modules.json" or path.name.endswith("config.json"):
            raise ModelUnusable(
                f"{path} has {path.stat().st_size / 1e6:,.0f} MB, far more than settings have.",
                "Get the file again from whoever made the model.",
            )


def _foreign(path: Path, said: Any) -> Iterator[str]:
    """What a file names and must not."""
    if path.name == "modules.json" and isinstance(said, list):
        for one in said:
            if isinstance(one, dict):
                yield from _not_in(MODULES, one.get("type"))
                yield from _leading_outside(one.get("path"))
        return
    for key, value in _members(said):
        if key == "types" and isinstance(value, dict):
            for inside, name in value.items():
                # Other files' types are words, not paths.
                yield from _not_in(MODULES, name) if "." in str(name) else ()
                yield from _leading_outside(inside)
        elif key == "tokenizer_class" and "." in str(value):
            yield from _not_in(TOKENIZERS, value)
        elif key in _ACTIVATION_KEYS and "." in str(value):
            yield from _not_in(ACTIVATIONS, value)
        elif key in _ATTENTION_KEYS and "/" in str(value):
            # A hub repository, whose program would be fetched and run.
            yield str(value)
        elif key in _ARGUMENT_KEYS:
            yield from (str(name) for name, _ in _members(value) if name in _HOW_FILES_ARE_READ)
        elif key == "modality_config" and isinstance(value, dict):
            yield from _no_methods(value)


def _no_methods(modalities: dict[str, Any]) -> Iterator[str]:
    for about in modalities.values():
        method = about.get("method", "forward") if isinstance(about, dict) else "forward"
        if not _METHOD.fullmatch(str(method)):
            yield str(method)


def _members(said: Any) -> Iterator[tuple[str, Any]]:
    """All members of all objects in it, however deep."""
    waiting = [said]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield from one.items()
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one


def _not_in(allowed: frozenset[str], name: Any) -> Iterator[str]:
    if name not in allowed if isinstance(name, str) else name is not None:
        yield str(name)


def _leading_outside(path: Any) -> Iterator[str]:
    given = PurePosixPath(str(path or "").replace("\\", "/"))
    if given.is_absolute() or ".." in given.parts or (path and not isinstance(path, str)):
        yield str(path)


def _refuse(path: Path, name: str, trust_remote_code: bool) -> None:
    libraries = name.split(".")[0] in (_ROOT, "torch")
    outside = name.startswith("/") or ".." in PurePosixPath(name.replace("\\", "/")).parts
    if libraries or outside or not _PATH.fullmatch(name):
        raise ModelUnusable(f"{path} names '{name}', which is no part of a model.", _HARMFUL)
    if not trust_remote_code:
        raise ModelUnusable(f"{path} names '{name}', code of its own, which is not run.", _ALLOW)
