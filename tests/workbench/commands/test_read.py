"""Old commands become recipes: what they say, what a tool does unsaid, what is told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workbench.commands import examples
from workbench.commands import Imported, read_command
from workbench.commands.read import data_mapping
from workbench.errors import BadInput, BadRecipe, WorkbenchError
from workbench.recipes.train import KINDS


def told(imported: Imported, start: str) -> str:
    """The one note that begins so."""
    found = [note for note in imported.notes if note.startswith(start)]
    assert len(found) == 1, imported.notes
    return found[0]


def read(text: str, **more: object) -> Imported:
    return read_command(text, gpu=False, **more)  # type: ignore[arg-type]


def test_the_flagembedding_example() -> None:
    found = read(examples.FLAG)
    assert (found.tool, found.kind, found.unknown) == ("FlagEmbedding", "embedding", [])
    assert found.values == {
        "model": "BAAI/bge-large-zh-v1.5",
        "epochs": 5.0,
        "batch_size": 2,
        "learning_rate": 1e-5,
        "query_max_len": 64,
        "passage_max_len": 256,
        "temperature": 0.02,
        "negatives": 1,
        "precision": "auto",
        "query_prompt": "为这个句子生成表示以用于检索相关文章：",
        "negatives_cross_device": True,
        "warmup": 0.0,
        "scheduler": "linear",
    }
    assert found.data.train == ("./toy_finetune_data.jsonl",)
    assert "needs a GPU" in told(found, "fp16:")
    assert "negatives is 1" in told(found, "train_group_size 2:")
    assert "one device" in told(found, "negatives_cross_device:")
    for word in (
        "normlized True:",
        "dataloader_drop_last True:",
        "logging_steps 10:",
        "output_dir",
    ):
        assert told(found, word)
    assert "warmup 0.0" in told(found, "Left out of the command")


def test_fp16_stays_where_there_is_a_gpu() -> None:
    assert read_command(examples.FLAG, gpu=True).values["precision"] == "fp16"


def test_the_embedrag_example() -> None:
    found = read(examples.EMBEDRAG)
    assert (found.tool, found.kind, found.unknown) == ("EmbedRAG", "embedding", [])
    assert found.values == {
        "model": "Alibaba-NLP/gte-Qwen2-1.5B-instruct",
        "name": "qlora_training",
        "method": "qlora",
        "quantization_bits": "4",
        "batch_size": 1,
        "learning_rate": 1e-4,
        "epochs": 3.0,
        "negatives": 2,
        "temperature": 0.02,
        "query_max_len": 128,
        "passage_max_len": 1000,
        "warmup": 0.05,
        "scheduler": "cosine",
        "weight_decay": 0.01,
    }
    assert found.data.train == ("train_data.jsonl",)
    assert told(found, "save_on_epoch_end 1:")


def test_the_autotrain_example() -> None:
    found = read(examples.AUTOTRAIN)
    assert (found.tool, found.kind, found.unknown) == ("AutoTrain", "embedding", [])
    assert found.values == {
        "model": "bge-base-zh-v1.5",
        "name": "autotrain-pair",
        "query_max_len": 512,
        "passage_max_len": 512,
        "epochs": 5.0,
        "batch_size": 4,
        "learning_rate": 2e-5,
        "scheduler": "cosine",
        "gradient_accumulation": 2,
        "precision": "auto",
        "negatives": 0,
        "warmup": 0.1,
    }
    assert found.data.train == ("data/",)
    assert found.data.columns == {"query": "anchor", "positive": "positive"}
    assert "BAAI/bge-base-zh-v1.5" in told(found, "model bge-base-zh-v1.5:")
    for word in ("log tensorboard:", "optimizer adamw_torch_fused:", "mixed_precision fp16:"):
        assert told(found, word)


def test_a_reranker_of_flagembedding_in_a_script() -> None:
    found = read(examples.FLAG_RERANKER)
    assert (found.tool, found.kind) == ("FlagEmbedding", "reranker")
    assert found.values["model"] == "BAAI/bge-reranker-base"
    assert found.values["negatives"] == 7
    assert found.values["precision"] == "bf16"
    assert found.values["objective"] == "contrastive"
    # The query's 256 are more than half of the pair's 400.
    assert (found.values["query_max_len"], found.values["passage_max_len"]) == (200, 200)
    assert found.data.train == ("./a.jsonl", "./b.jsonl")
    assert told(found, "nproc_per_node 2:")
    assert told(found, "CUDA_VISIBLE_DEVICES:")
    assert "no equal" in told(found, "knowledge_distillation True:")
    assert [word.split()[0] for word in found.unknown] == ["frobnicate"]


def test_a_decoder_in_a_script_with_variables() -> None:
    found = read(examples.FLAG_DECODER)
    assert (found.tool, found.kind) == ("FlagEmbedding", "embedding")
    assert found.values["method"] == "lora"
    assert (found.values["lora_r"], found.values["lora_alpha"]) == (32, 16)
    assert found.values["query_prompt"] == "Instruct: Find it\nQuery: "
    assert found.values["pooling"] == "lasttoken"
    assert found.values["objective"] == "distill-kl"
    assert found.data.train == ()
    assert any("$DATA" in word for word in found.unknown)


def test_a_reranker_and_a_colbert_of_the_rag_family() -> None:
    found = read(examples.RAG_RERANKER)
    assert (found.tool, found.kind) == ("EmbedRAG", "reranker")
    assert found.values["architecture"] == "cross-encoder"
    assert found.values["objective"] == "bce"
    assert found.values["precision"] == "fp32"
    assert found.values["query_max_len"] + found.values["passage_max_len"] == 512
    late = read(examples.RAG_COLBERT)
    assert late.kind == "late-interaction"
    assert late.values["token_dimensions"] == 1024
    assert late.data.train == ("t.jsonl",)


def test_open_retrievals_and_a_secret() -> None:
    found = read(examples.RETRIEVALS)
    assert found.tool == "open-retrievals"
    assert found.values["in_batch_negatives"] is False
    assert found.values["negatives"] == 3
    assert found.values["query_prompt"] == "query: "
    assert (found.values["query_max_len"], found.values["passage_max_len"]) == (30, 200)
    assert found.data.columns == {"positive": "pos", "negative": "neg"}
    assert "hf_secret" not in str(found)
    assert [word.split()[0] for word in found.unknown] == ["document_instruction"]


@pytest.mark.parametrize("trainer", ["pair", "triplet", "pair_score", "pair_class", "qa"])
def test_every_trainer_of_autotrain(trainer: str) -> None:
    found = read(f"task: sentence-transformers:{trainer}\nbase_model: m\n")
    assert found.values["model"] == "m"
    assert found.values["passage_max_len"] == 128


def test_a_flat_yaml_and_json_are_settings_too() -> None:
    found = read("model_name_or_path: m\nneg_nums: 3\nlr: 2e-5\nmixed_precision: null\n")
    assert (found.tool, found.values["negatives"]) == ("EmbedRAG", 3)
    assert read('{"model_name_or_path": "m", "fp16": true}').values["model"] == "m"


def test_windows_dashes_and_equals_signs() -> None:
    found = read("python t.py ^\r\n –model_name_or_path=m ^\r\n --lr=1e-5 --fp16=False")
    assert (found.values["model"], found.values["learning_rate"]) == ("m", 1e-5)
    assert "precision" not in found.values


def test_a_kind_that_is_asked_for_wins() -> None:
    found = read(examples.RAG_COLBERT, kind="embedding")
    assert found.kind == "embedding"
    assert "no field 'token_dimensions'" in told(found, "colbert_dim 1024:")


def test_nearly_a_known_word_is_pointed_at() -> None:
    found = read("python t.py --model m --temperatur 0.1")
    assert "Did you mean 'temperature'?" in found.unknown[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no command"),
        ("hello world", "no options"),
        ("python t.py --model 'm", "quotation mark"),
        ("task: llm:sft\nbase_model: m", "does not train a retrieval model"),
        ("task: sentence-transformers:magic", "no task"),
        ("a: &x [1]\nb: *x", "no YAML"),
        ("key: [", "no YAML"),
    ],
)
def test_what_is_no_training_command_is_a_sentence(text: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read(text)


def test_a_value_that_cannot_be_is_refused_by_the_recipe() -> None:
    with pytest.raises(BadRecipe, match="learning_rate"):
        read("python t.py --model m --lr much")


def test_nothing_of_the_text_is_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    trap = tmp_path_factory.mktemp("trap") / "made"
    found = read(f"python t.py --model $(touch {trap}) --lr 1e-5; `touch {trap}`")
    assert not trap.exists()
    assert found.values["learning_rate"] == 1e-5


WORDS = st.sampled_from(
    ["--lr", "1e-5", "--fp16", "--max_len", "--train_group_size", "0", "-5", "nan", "$X", "X=--a",
     "\\\n", "'", '"', "--query_instruction_format", "{}{}", "task:", "data:", "[", "{", "\n", ";",
     "--scale", "--neg_nums", "inf", "1e400", "--loss", "--mrl_dims", "--output_dir", "..", "/",
     "--quantization_bits", "--finetune_type", "qlora", "--warmup_steps", "--kind", "reranker"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(WORDS).map(" ".join), st.lists(WORDS).map(": ".join)))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        found = read(text)
    except WorkbenchError as error:
        assert error.message
    else:
        assert found.kind in KINDS
        KINDS[found.kind].read({"dataset": "-", **found.values})


def test_torchrun_is_that_many_devices_where_there_are_gpus() -> None:
    command = "torchrun --nproc_per_node 2 run.py --model_name_or_path a/b --train_data x.jsonl "
    command += "--negatives_cross_device"
    found = read_command(command, gpu=True)
    assert found.values["devices"] == "2"
    assert not [note for note in found.notes if "one device" in note]
    alone = read_command(command, gpu=False)
    assert "devices" not in alone.values
    assert "no GPU here" in told(alone, "nproc_per_node 2:")
    assert "one device" in told(alone, "negatives_cross_device:")


def test_columns_that_the_import_does_not_know_are_mapped() -> None:
    known = {"query": "anchor", "positive": "positive"}
    assert data_mapping(known) == data_mapping({}) == []
    assert data_mapping({"query": "frage", "positive": "antwort"}) == [
        "query=frage",
        "positive=antwort",
    ]
    scored = {"query": "eins", "positive": "zwei", "score": "wert"}
    assert data_mapping(scored) == ["left=eins", "right=zwei", "label=wert"]
    strange = examples.AUTOTRAIN.replace("anchor", "frage")
    assert any("query=frage" in note for note in read(strange).notes)
