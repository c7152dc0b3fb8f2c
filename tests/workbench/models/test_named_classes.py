"""A model's files name classes: those of models are used, and nothing else is even looked up."""

import importlib
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.models import tiny
from tests.workbench.models.fakes import FakeWorkspace, located, write_json, write_modules
from workbench.errors import ModelUnusable
from workbench.models.named_classes import (
    ACTIVATIONS,
    MODULES,
    TOKENIZERS,
    refuse_foreign_classes,
)
from workbench.models.resolve import resolve

NO_MODEL = [
    "sentence_transformers.base.model.pickle",
    "sentence_transformers.base.model.torch",
    "sentence_transformers.base.model.importlib",
    "sentence_transformers.util.misc.importlib",
    "sentence_transformers.models.pickle",
    "sentence_transformers.SentenceTransformer",
    "sentence_transformers.sentence_transformer.modules.pooling.torch",
    "sentence_transformers.models.Transformer.pickle",
    "sentence_transformers.models.tokenizer.WordTokenizer",
    "torch.hub",
    "Transformer",
    "",
    7,
    ["sentence_transformers.models.Transformer"],
]


def with_type(folder: Path, name: Any, **more: Any) -> Path:
    """A model's folder whose second module is of that class."""
    write_modules(folder)
    modules = json.loads((folder / "modules.json").read_text())
    modules[1] |= {"type": name, **more}
    write_json(folder / "modules.json", modules)
    return folder


@pytest.mark.parametrize("name", NO_MODEL)
def test_modules_are_of_the_list(tmp_path: Path, name: Any) -> None:
    folder = with_type(tmp_path / "m", name)
    for trust in (False, True):
        with pytest.raises(ModelUnusable, match=r"modules\.json names '.*', which is no part"):
            refuse_foreign_classes(folder, trust_remote_code=trust)


def test_code_of_its_own_needs_to_be_allowed(tmp_path: Path) -> None:
    folder = with_type(tmp_path / "m", "modeling_mine.Pooling")
    with pytest.raises(ModelUnusable, match="code of its own, which is not run") as caught:
        refuse_foreign_classes(folder)
    assert "--trust-remote-code" in caught.value.hint
    refuse_foreign_classes(folder, trust_remote_code=True)


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", "a/../../b", "..\\b"])
def test_modules_lie_in_the_folder(tmp_path: Path, path: str) -> None:
    folder = with_type(tmp_path / "m", "sentence_transformers.models.Pooling", path=path)
    with pytest.raises(ModelUnusable, match="no part of a model"):
        refuse_foreign_classes(folder, trust_remote_code=True)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("router_config.json", {"types": {"a": "sentence_transformers.base.model.pickle"}}),
        ("config.json", {"types": {"query_0": "sentence_transformers.util.misc.os"}}),
        ("router_config.json", {"types": {"../up": "sentence_transformers.models.Dense"}}),
        ("config.json", {"activation_function": "torch.hub.load"}),
        ("config.json", {"activation_function": "torch.nn.modules.module.warnings"}),
        ("config.json", {"sentence_transformers": {"activation_fn": "torch.seed"}}),
        ("config.json", {"sbert_ce_default_activation_function": "torch.nn.init.os"}),
        ("config_sentence_transformers.json", {"activation_fn": "torch.backends.mps.torch"}),
        ("wordembedding_config.json", {"tokenizer_class": "sentence_transformers.util.misc.os"}),
        ("sentence_bert_config.json", {"model_args": {"weights_only": False}}),
        ("sentence_bert_config.json", {"model_kwargs": {"use_safetensors": False}}),
        ("sentence_bert_config.json", {"tokenizer_args": {"vocab_file": "/etc/hostname"}}),
        ("sentence_bert_config.json", {"processor_kwargs": {"text": {"subfolder": "../.."}}}),
        ("sentence_bert_config.json", {"config_args": {"trust_remote_code": True}}),
        ("sentence_bert_config.json", {"modality_config": {"text": {"method": "save"}}}),
    ],
)
def test_other_files_name_nothing_else_either(tmp_path: Path, file: str, content: Any) -> None:
    folder = write_modules(tmp_path / "m")
    # As deep as routers nest.
    place = folder / "2_Router" / "query_0" / file
    write_json(place, content)
    with pytest.raises(ModelUnusable, match="no part of a model") as caught:
        refuse_foreign_classes(folder, trust_remote_code=True)
    assert str(place) in caught.value.message


@pytest.mark.parametrize(
    "content",
    [
        {"activation_function": "my_code.Activation"},
        {"attn_implementation": "somebody/fast-attention"},
        {"text_config": {"_attn_implementation": "somebody/fast-attention:run"}},
    ],
)
def test_settings_bring_no_code_unless_it_is_allowed(tmp_path: Path, content: Any) -> None:
    folder = write_modules(tmp_path / "m")
    write_json(folder / "2_Dense" / "config.json", content)
    with pytest.raises(ModelUnusable, match="code of its own"):
        refuse_foreign_classes(folder)
    refuse_foreign_classes(folder, trust_remote_code=True)


def test_what_models_have_is_left_alone(tmp_path: Path) -> None:
    folder = write_modules(tmp_path / "m", "Dense", "Normalize")
    write_json(
        folder / "2_Dense" / "config.json",
        {"activation_function": "torch.nn.modules.activation.Tanh", "out_features": 8},
    )
    about = json.loads((folder / "config.json").read_text())
    # GPT-2's name of a function; a tokenizer's class; types of another meaning.
    more = {"activation_function": "gelu_new", "tokenizer_class": "BertTokenizer", "types": {}}
    write_json(folder / "config.json", {**about, **more, "attn_implementation": "sdpa"})
    known = {"model_args": {"attn_implementation": "sdpa", "torch_dtype": "float16"}}
    write_json(folder / "sentence_bert_config.json", {**known, "max_seq_length": 128})
    refuse_foreign_classes(folder)
    (folder / "broken_config.json").write_text("{")
    (folder / "deep.json").write_text("[" * 100_000)
    refuse_foreign_classes(folder)


def test_settings_are_small(tmp_path: Path) -> None:
    folder = write_modules(tmp_path / "m")
    (folder / "modules.json").write_text(" " * (5 << 20) + "[]")
    with pytest.raises(ModelUnusable, match="5 MB, far more than settings have"):
        refuse_foreign_classes(folder)


def test_it_is_said_at_the_click(workspace: FakeWorkspace, tmp_path: Path) -> None:
    folder = with_type(tmp_path / "m", NO_MODEL[0])
    with pytest.raises(ModelUnusable, match="no part of a model"):
        resolve(workspace, str(folder))  # type: ignore[arg-type]


# -- with the libraries themselves: they take 6 to 11 seconds to import ---------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.bert(tmp_path_factory.mktemp("named") / "tiny")


@pytest.mark.slow
def test_the_list_is_of_classes_of_modules_and_is_whole() -> None:
    import torch
    from sentence_transformers.util import import_from_string

    ours = [name for name in MODULES if name.startswith("sentence_transformers.")]
    found = {name: _imported(import_from_string, name) for name in ours}
    for name, kind in found.items():
        if kind is not None:
            assert issubclass(kind, torch.nn.Module) and callable(kind.load), name  # type: ignore
    kinds = set(found.values())
    for package in (
        "base", "sentence_transformer", "cross_encoder", "multi_vector_encoder", "sparse_encoder",
    ):  # fmt: skip
        modules = importlib.import_module(f"sentence_transformers.{package}.modules")
        for name in modules.__all__:
            if name not in ("Module", "InputModule", "BaseTokenPooling", "LambdaTokenPooling"):
                kind = getattr(modules, name)
                assert kind in kinds and f"{kind.__module__}.{kind.__name__}" in MODULES
                assert f"sentence_transformers.{package}.modules.{name}" in MODULES
    for old in ("Transformer", "Pooling", "Dense", "Normalize", "CLIPModel", "Asym", "Router"):
        assert found[f"sentence_transformers.models.{old}"] is not None
    for name in (*ACTIVATIONS, *TOKENIZERS):
        kind = _imported(import_from_string, name)
        assert kind is None or isinstance(kind, type)
        assert name in TOKENIZERS or kind is None or issubclass(kind, torch.nn.Module)


def _imported(load: Any, name: str) -> type | None:
    try:
        found = load(name)
    except ImportError:
        return None
    # An old path may lead to a module of the class's name.
    return found if isinstance(found, type) else None


class Payload:
    """Unpickled, it writes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.marker, "ran")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["SentenceTransformer", "CrossEncoder", "MultiVectorEncoder"])
@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize(
    "name",
    [
        "sentence_transformers.base.model.pickle",
        "sentence_transformers.base.model.torch",
        "marker_on_import.Pooling",
    ],
)
def test_nothing_a_folder_names_is_run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoint: Path,
    name: str,
    trust: bool,
    kind: str,
) -> None:
    """Given to the library, each of these reaches ``load``, or imports what is installed."""
    import shutil

    import torch

    from workbench.models.load import load_model
    from workbench.models.locate import locate_folder

    if trust and name.startswith("marker"):
        pytest.skip("allowed by whoever started the workbench")
    marker = tmp_path / "marker"
    folder = shutil.copytree(checkpoint, tmp_path / "m")
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Payload", "type": name},
    ]
    write_json(folder / "modules.json", modules)
    write_json(folder / "config_sentence_transformers.json", {"model_type": kind})
    (folder / "1_Payload").mkdir()
    (folder / "1_Payload" / "data.pkl").write_bytes(pickle.dumps(Payload(marker)))
    (tmp_path / "marker_on_import.py").write_text(
        f"import pathlib\npathlib.Path({str(marker)!r}).write_text('imported')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(pickle, "load", lambda *_, **__: marker.write_text("reached"))
    monkeypatch.setattr(torch, "load", lambda *_, **__: marker.write_text("reached"))
    workspace: Any = FakeWorkspace(tmp_path)
    workspace.trust_remote_code = trust
    with pytest.raises(ModelUnusable):
        load_model(locate_folder(workspace, folder), device="cpu")
    assert not marker.exists()
    sys.modules.pop("marker_on_import", None)


@pytest.mark.slow
def test_a_rerankers_activation_is_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library calls what ``torch.`` has under that name."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    from workbench.models.load import load_model

    folder, marker = tmp_path / "m", tmp_path / "marker"
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=30, intermediate_size=32, num_labels=1, **shape)
    BertForSequenceClassification(config).save_pretrained(folder)
    tiny.tokenizer(folder)
    about = json.loads((folder / "config.json").read_text())
    about["sentence_transformers"] = {"activation_fn": "torch.seed"}
    write_json(folder / "config.json", about)
    monkeypatch.setattr(torch, "seed", lambda: marker.write_text("called"))
    with pytest.raises(ModelUnusable, match=r"torch\.seed"):
        load_model(located(folder), device="cpu")
    assert not marker.exists()
