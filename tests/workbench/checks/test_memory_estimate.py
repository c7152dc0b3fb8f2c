"""The estimate of memory, against what can be counted by hand."""

from pathlib import Path
from typing import Any

import pytest

from workbench.checks.memory_estimate import Shape, estimate, read_shape, trainable_parameters
from workbench.errors import ModelUnusable
from workbench.models.registry import packaged_folder
from workbench.recipes.train import TrainEmbeddingRecipe

SHAPE = Shape(
    parameters=1_000 + 64 * 64 * 2,
    linear={"layer.0.query.weight": (64, 64), "layer.0.output.weight": (64, 64)},
    layers=1,
    hidden=64,
    heads=2,
    positions=512,
    tokenizer=None,
)


def recipe(**values: object) -> TrainEmbeddingRecipe:
    return TrainEmbeddingRecipe.read({"dataset": "d", **values})


def test_full_training_takes_16_bytes_a_parameter_and_activations() -> None:
    found = estimate(SHAPE, recipe(), [(10, 10)], precision="bf16")
    assert found.weights + found.gradients + found.optimizer == 16 * SHAPE.parameters
    assert found.activations == 2 * (34 * 100 * 64 + 5 * 2 * 10 * 10 * 10)
    on_gpu = estimate(SHAPE, recipe(), [(10, 10)], precision="bf16", gpu=True)
    assert on_gpu.activations == round(2.7 * 100 * 2 * (64 + 64))


def test_adapters_train_rank_times_rows_and_columns() -> None:
    lora = recipe(method="lora", lora_r=8)
    assert trainable_parameters(SHAPE, lora) == 8 * (128 + 128)
    assert trainable_parameters(SHAPE, recipe(method="lora", lora_r=8, target_modules="query")) == (
        8 * 128
    )
    found = estimate(SHAPE, lora, [], precision="bf16")
    assert found.weights == 2 * SHAPE.parameters + 4 * 2048
    assert found.optimizer == 8 * 2048


def test_quantized_bases_are_smaller_and_8_bits_larger_than_4() -> None:
    sizes = [
        estimate(SHAPE, recipe(**values), [], precision="bf16").weights
        for values in (
            {"method": "qlora"},
            {"method": "qlora", "double_quantization": False},
            {"method": "qlora", "quantization_bits": "8"},
            {"method": "lora"},
        )
    ]
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 4


def test_gradient_checkpointing_keeps_less() -> None:
    deep = Shape(1, {}, layers=12, hidden=64, heads=2, positions=None, tokenizer=None)
    plain = estimate(deep, recipe(), [(10, 10)], precision="bf16")
    kept = estimate(deep, recipe(gradient_checkpointing=True), [(10, 10)], precision="bf16")
    assert kept.activations < plain.activations / 5


def test_a_frozen_table_of_words_has_no_gradient() -> None:
    shape = Shape(1000, {}, 2, 8, 2, None, None, words=600)
    plain = estimate(shape, recipe(), [(10, 10)], precision="bf16")
    kept = estimate(shape, recipe(freeze_word_embeddings=True), [(10, 10)], precision="bf16")
    assert kept.weights == plain.weights == 4000
    assert (kept.gradients, kept.optimizer) == (1600, 3200)


def test_the_packaged_model_by_its_own_files() -> None:
    shape = read_shape(packaged_folder())
    assert shape is not None
    assert shape.parameters == 22_713_216
    assert shape.words == 30_522 * 384
    assert (shape.layers, shape.hidden, shape.positions) == (6, 384, 512)
    # Six layers of four attention matrices and two of the feed-forward part, and the pooler.
    assert len(shape.linear) == 6 * 6 + 1
    assert shape.tokenizer is not None


def test_a_damaged_file_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\x05\x00\x00\x00\x00\x00\x00\x00{")
    with pytest.raises(ModelUnusable, match="cannot be read as safetensors"):
        read_shape(tmp_path)
    assert read_shape(tmp_path / "none") is None


def transformer(layers: int, width: int, wide: int, keys: int, gated: bool, total: int) -> Shape:
    """BERT's or Qwen2's matrices."""
    matrices = {"q": (width, width), "k": (keys, width), "v": (keys, width), "o": (width, width)}
    matrices |= {"up": (wide, width), "down": (width, wide)}
    matrices |= {"gate": (wide, width)} if gated else {}
    linear = {f"{at}.{name}": size for at in range(layers) for name, size in matrices.items()}
    return Shape(total, linear, layers, width, 12, None, None)


BERT = transformer(12, 768, 3072, 768, gated=False, total=109_482_240)
QWEN2 = transformer(28, 1536, 8960, 256, gated=True, total=1_543_714_304)
PAIRS, TEXTS = [(40, 320)], [(16, 64), (32, 256)]


@pytest.mark.parametrize(
    ("shape", "batch", "values", "precision", "megabytes"),
    [
        (BERT, TEXTS, {}, "bf16", 5_520),
        (BERT, TEXTS, {"method": "lora"}, "bf16", 5_163),
        (BERT, PAIRS, {"method": "qlora"}, "bf16", 7_852),
        (BERT, PAIRS, {"method": "qlora", "quantization_bits": "8"}, "bf16", 10_598),
        (QWEN2, TEXTS, {}, "bf16", 54_998),
        (QWEN2, TEXTS, {"method": "lora"}, "bf16", 37_379),
        (QWEN2, TEXTS, {"method": "qlora"}, "bf16", 34_874),
        (QWEN2, PAIRS, {"method": "qlora", "quantization_bits": "8"}, "bf16", 57_126),
        (QWEN2, TEXTS, {"method": "lora"}, "fp16", 45_716),
        (QWEN2, TEXTS, {"method": "qlora"}, "fp16", 49_615),
        (QWEN2, TEXTS, {"gradient_checkpointing": True}, "bf16", 25_740),
        (QWEN2, PAIRS, {"method": "lora", "gradient_checkpointing": True}, "bf16", 7_473),
        (QWEN2, PAIRS, {"method": "qlora", "gradient_checkpointing": True}, "bf16", 4_616),
    ],
)
def test_a_gpus_memory_is_near_what_was_measured(
    shape: Shape, batch: list[Any], values: dict[str, Any], precision: str, megabytes: int
) -> None:
    found = estimate(shape, recipe(**values), batch, precision=precision, gpu=True).total / 1e6
    assert 0.85 < found / megabytes < 1.25, round(found)


@pytest.mark.slow  # Loads MiniLM with transformers and runs it once in each precision.
@pytest.mark.parametrize("autocast", [False, True])
def test_activations_are_near_what_torch_keeps(autocast: bool) -> None:
    import torch
    from transformers import BertModel

    model = BertModel.from_pretrained(str(packaged_folder())).float().train()
    weights = {weight.data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    words = torch.randint(1000, 2000, (16, 128))
    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with hooks, torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        output = model(input_ids=words, attention_mask=torch.ones_like(words)).last_hidden_state
    shape = read_shape(packaged_folder())
    assert shape is not None
    guess = estimate(shape, recipe(), [(16, 128)], precision="bf16").activations
    assert output.shape == (16, 128, 384)
    assert 0.67 < guess / sum(kept.values()) < 1.5
