"""Folders are told apart by their own files, and what is no model says why."""

from pathlib import Path

import pytest

from tests.workbench.models.fakes import write_json, write_modules, write_plain
from workbench.errors import ModelUnusable
from workbench.models.architecture import needs_conversion
from workbench.models.contract import Contract
from workbench.models.inspect import inspect_folder


def test_a_sentence_transformers_folder_brings_its_own_contract(tmp_path: Path) -> None:
    folder = write_modules(
        tmp_path,
        "Normalize",
        prompts={"query": "query: ", "passage": "passage: "},
        similarity_fn_name="dot",
    )
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 128})
    found = inspect_folder(folder)
    assert found.layout == "sentence-transformers"
    assert found.contract.pooling == "mean"
    assert found.contract.normalize
    assert (found.contract.query_prompt, found.contract.document_prompt) == ("query: ", "passage: ")
    assert (found.contract.query_max_len, found.contract.passage_max_len) == (128, 128)
    assert found.contract.dimensions == 32


def test_the_default_prompt_stands_in_for_both(tmp_path: Path) -> None:
    folder = write_modules(tmp_path, prompts={"sts": "s: "}, default_prompt_name="sts")
    contract = inspect_folder(folder).contract
    assert (contract.query_prompt, contract.document_prompt) == ("s: ", "s: ")


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode": "lasttoken", "embedding_dimension": 32}, "lasttoken"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}, "other"),
        ({"pooling_mode": ["cls", "mean"]}, "other"),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, "other"),
    ],
)
def test_pooling_is_read_in_old_and_new_spelling(
    tmp_path: Path, config: dict[str, object], mode: str
) -> None:
    folder = write_modules(tmp_path)
    write_json(folder / "1_Pooling" / "config.json", config)
    assert inspect_folder(folder).contract.pooling == mode


def test_a_dot_product_model_is_not_normalized(tmp_path: Path) -> None:
    assert not inspect_folder(write_modules(tmp_path, similarity_fn_name="dot")).contract.normalize


def test_a_dense_module_changes_the_dimensions(tmp_path: Path) -> None:
    folder = write_modules(tmp_path, "Dense")
    write_json(folder / "2_Dense" / "config.json", {"in_features": 32, "out_features": 8})
    assert inspect_folder(folder).contract.dimensions == 8


def test_a_plain_encoder_is_pooled_by_the_mean(tmp_path: Path) -> None:
    found = inspect_folder(write_plain(tmp_path, dtype="bfloat16"))
    assert found.layout == "transformers"
    contract = found.contract
    assert (contract.pooling, contract.causal, contract.dtype) == ("mean", False, "bfloat16")
    assert (contract.passage_max_len, contract.dimensions) == (512, 32)


@pytest.mark.parametrize(
    ("prompts", "wanted"),
    [
        # What sentence-transformers writes when it saves a model that has 'passage' alone.
        ({"query": "query: ", "document": "", "passage": "passage: "}, ("query: ", "passage: ")),
        ({"query": "", "document": "", "corpus": "text: "}, ("", "text: ")),
        ({"query": "query: ", "document": ""}, ("query: ", "")),
    ],
)
def test_an_empty_prompt_hides_no_other(
    tmp_path: Path, prompts: dict[str, str], wanted: tuple[str, str]
) -> None:
    folder = write_modules(tmp_path)
    write_json(folder / "config_sentence_transformers.json", {"prompts": prompts})
    contract = inspect_folder(folder).contract
    assert (contract.query_prompt, contract.document_prompt) == wanted


@pytest.mark.parametrize(
    ("config", "pooling", "causal"),
    [
        ({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}, "lasttoken", True),
        ({"model_type": "qwen3", "architectures": ["Qwen3Model"]}, "lasttoken", True),
        (
            {"model_type": "qwen2", "architectures": ["Qwen2Model"], "is_causal": False},
            "mean",
            False,
        ),
    ],
)
def test_a_decoder_is_pooled_by_its_last_token(
    tmp_path: Path, config: dict[str, object], pooling: str, causal: bool
) -> None:
    contract = inspect_folder(write_plain(tmp_path, **config)).contract
    assert (contract.pooling, contract.causal) == (pooling, causal)


def test_roberta_reads_two_tokens_fewer_than_it_has_positions(tmp_path: Path) -> None:
    folder = write_modules(tmp_path)
    write_json(
        folder / "config.json",
        {"model_type": "roberta", "max_position_embeddings": 514, "pad_token_id": 1},
    )
    assert inspect_folder(folder).contract.query_max_len == 512


def test_a_saved_contract_wins(tmp_path: Path) -> None:
    folder = write_modules(tmp_path)
    Contract(query_max_len=17, query_prompt="q ").write(folder)
    assert inspect_folder(folder).contract.query_max_len == 17


def test_an_adapter_names_its_base(tmp_path: Path) -> None:
    write_json(
        tmp_path / "adapter_config.json",
        {"base_model_name_or_path": "owner/base", "peft_type": "LORA"},
    )
    (tmp_path / "adapter_model.safetensors").write_bytes(b"weights")
    found = inspect_folder(tmp_path)
    assert (found.layout, found.base) == ("adapter", "owner/base")


def test_an_adapter_that_cannot_be_merged_is_refused(tmp_path: Path) -> None:
    write_json(
        tmp_path / "adapter_config.json",
        {"base_model_name_or_path": "owner/base", "peft_type": "PREFIX_TUNING"},
    )
    with pytest.raises(ModelUnusable, match="PREFIX_TUNING"):
        inspect_folder(tmp_path)


def test_shards_are_all_needed(tmp_path: Path) -> None:
    folder = write_plain(tmp_path)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    weight_map = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    write_json(folder / "model.safetensors.index.json", {"weight_map": weight_map})
    with pytest.raises(ModelUnusable, match="model-00002-of-00002"):
        inspect_folder(folder)
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"weights")
    assert inspect_folder(folder).layout == "transformers"


def test_pickled_weights_are_noticed_and_optimizer_states_are_not(tmp_path: Path) -> None:
    folder = write_plain(tmp_path)
    (folder / "optimizer.pt").write_bytes(b"state")
    (folder / "training_args.bin").write_bytes(b"state")
    assert not needs_conversion(folder)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert needs_conversion(folder) and inspect_folder(folder).layout == "transformers"


def _nothing(folder: Path) -> None:
    (folder / "notes.txt").write_text("hello")


def _inner(folder: Path) -> None:
    write_plain(folder / "checkpoint-5")


def _gguf(folder: Path) -> None:
    (folder / "model.gguf").write_bytes(b"GGUF")


def _no_weights(folder: Path) -> None:
    (write_plain(folder) / "model.safetensors").unlink()


def _no_tokenizer(folder: Path) -> None:
    (write_plain(folder) / "tokenizer.json").unlink()


def _broken_json(folder: Path) -> None:
    (write_plain(folder) / "config.json").write_text("{")


def _list_json(folder: Path) -> None:
    write_json(write_plain(folder) / "config.json", [1])


def _no_type(folder: Path) -> None:
    write_json(write_plain(folder) / "config.json", {"hidden_size": 3})


def _empty_modules(folder: Path) -> None:
    write_json(write_plain(folder) / "modules.json", [])


def _pointer(folder: Path) -> None:
    text = "version https://git-lfs.github.com/spec/v1\n"
    (write_plain(folder) / "model.safetensors").write_text(text)


def _reranker(folder: Path) -> None:
    write_plain(folder, architectures=["BertForSequenceClassification"])


def _sparse(folder: Path) -> None:
    write_modules(folder, model_type="SparseEncoder")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (_nothing, "holds no model"),
        (_inner, "checkpoint-5"),
        (_gguf, "GGUF"),
        (_no_weights, "no weights"),
        (_no_tokenizer, "no tokenizer"),
        (_broken_json, "cannot be read"),
        (_list_json, "not a JSON object"),
        (_no_type, "which kind of model"),
        (_empty_modules, "not a list of modules"),
        (_pointer, "Git LFS pointer"),
        (_reranker, "a reranker"),
        (_sparse, "a sparse encoder"),
    ],
)
def test_what_is_no_usable_model_says_why(tmp_path: Path, make: object, sentence: str) -> None:
    make(tmp_path)  # type: ignore[operator]
    with pytest.raises(ModelUnusable, match=sentence):
        inspect_folder(tmp_path)


def test_a_file_and_a_missing_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(ModelUnusable, match="is a file"):
        inspect_folder(tmp_path / "model.safetensors")
    with pytest.raises(ModelUnusable, match="no folder"):
        inspect_folder(tmp_path / "missing")


def test_rerankers_and_late_interaction_are_known(tmp_path: Path) -> None:
    one_score = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}}
    write_plain(tmp_path / "ce", **one_score)
    write_modules(tmp_path / "late", model_type="MultiVectorEncoder")
    write_plain(tmp_path / "colbert", architectures=["HF_ColBERT"])
    reranker = inspect_folder(tmp_path / "ce").contract
    assert (reranker.kind, reranker.architecture) == ("reranker", "cross-encoder")
    assert inspect_folder(tmp_path / "late").contract.kind == "late-interaction"
    colbert = inspect_folder(tmp_path / "colbert").contract
    assert (colbert.kind, colbert.query_max_len) == ("late-interaction", 32)
