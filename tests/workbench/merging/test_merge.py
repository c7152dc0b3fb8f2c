"""A merge is what the adapter was, for every kind, or it is not kept."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.merging.conftest import Bench
from tests.workbench.training.fakes import (
    FakeContext,
    FakeReader,
    FakeWorkspace,
    animal_splits,
    animal_tokenizer,
    save_tiny_model,
)
from tests.workbench.training.test_cells import QUESTIONS, TEXTS, scores
from workbench.errors import BadInput, JobCancelled, ModelUnusable
from workbench.jobs import files
from workbench.merging.merge import ALLOWED, MergeFailed, _verdict, run
from workbench.merging.probe import refuse_unplaced
from workbench.models.contract import Contract
from workbench.models.load import load_model
from workbench.models.locate import locate, locate_folder
from workbench.recipes.merge import MergeRecipe

# Each trains a real, tiny model.
pytestmark = pytest.mark.slow

RECIPE = MergeRecipe(model="mine", name="whole", device="cpu")
KINDS = [
    ("embedding", "bert"),
    ("embedding", "qwen2"),
    ("reranker", "bert"),
    ("reranker", "qwen2-lm"),
    ("late-interaction", "bert"),
    ("late-interaction", "m3"),
]


@pytest.mark.parametrize(("kind", "base"), KINDS)
def test_every_kind_is_merged(trained: Callable[..., Bench], kind: str, base: str) -> None:
    bench = trained(kind, base, "lora")
    # What the script that repeats the run goes by.
    bench.record.summary["decisions"] = [{"name": "blend", "value": 0.5}]
    result = run(RECIPE, bench.context)

    kept = files.read_object(bench.context.folder / files.MADE)
    assert kept == {"path": bench.workspace.models.get("whole").path, "result": result}
    assert result["model"] == "whole"
    assert result["adapter"] == "mine"
    assert result["parity"]["texts"] == 64
    assert 0 <= result["parity"]["largest_difference"] <= ALLOWED == result["parity"]["allowed"]
    assert result["drift"] is None
    metric = result["metrics"]["metric"]
    assert result["metrics"]["trained"] == bench.record.summary["best"]
    assert result["metrics"]["merged"][metric] == pytest.approx(
        result["metrics"]["trained"][metric], abs=1e-6
    )
    record = bench.workspace.models.get("whole")
    folder = bench.workspace.home / record.path
    assert record.kind == kind
    assert record.base == bench.record.base
    assert record.summary["origin"] == "merged"
    assert record.summary["adapter_id"] == bench.record.id
    assert record.summary["decisions"] == bench.record.summary["decisions"]
    assert record.summary["best"] == result["metrics"]["merged"]
    assert "base_id" not in record.summary
    assert record.verdict == bench.record.verdict
    assert (record.contract["quantization"], record.contract["dtype"]) == ("", "float32")
    assert not list(folder.glob("adapter*"))
    before = load_model(locate(bench.workspace, "mine"), device="cpu", precision="fp32")
    after = load_model(locate(bench.workspace, "whole"), device="cpu", precision="fp32")
    assert np.allclose(scores(before), scores(after), atol=1e-5)
    assert np.allclose(outside(folder, kind), scores(after), atol=1e-5)
    # The adapter itself, too, is for sentence-transformers and for peft what it is here.
    assert np.allclose(outside(bench.folder, kind), scores(before), atol=1e-4)
    refuse_unplaced(in_peft(bench.folder, kind, base), bench.folder)


def in_peft(folder: Path, kind: str, base: str) -> Any:
    """The adapter on its base, by transformers and peft alone."""
    import transformers
    from peft import PeftConfig, PeftModel

    if kind == "reranker":
        task = "CausalLM" if base.endswith("-lm") else "SequenceClassification"
        head: dict[str, Any] = {} if base.endswith("-lm") else {"num_labels": 1}
        shape = getattr(transformers, f"AutoModelFor{task}")
    else:
        shape, head = transformers.AutoModel, {}
    named = PeftConfig.from_pretrained(str(folder)).base_model_name_or_path
    return PeftModel.from_pretrained(shape.from_pretrained(named, **head), str(folder))


def outside(folder: Path, kind: str) -> Any:
    """The same scores by sentence-transformers alone."""
    from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer

    if kind == "reranker":
        pairs = [(query, text) for query in QUESTIONS for text in TEXTS]
        return CrossEncoder(str(folder), device="cpu").predict(pairs)
    if kind == "embedding":
        model = SentenceTransformer(str(folder), device="cpu")
        options = {"normalize_embeddings": True}
        return model.encode_query(QUESTIONS, **options) @ model.encode_document(TEXTS, **options).T
    late = MultiVectorEncoder(str(folder), device="cpu")
    found = late.similarity(late.encode_query(QUESTIONS), late.encode_document(TEXTS))
    return np.asarray(found).ravel()


@pytest.mark.parametrize(
    ("kind", "base", "method"),
    [
        ("embedding", "qwen2", "qlora-4"),
        ("embedding", "qwen2", "qlora-8"),
        ("reranker", "bert", "qlora-4"),
        ("reranker", "qwen2-lm", "qlora-8"),
    ],
)
def test_after_qlora_the_drift_is_reported(
    trained: Callable[..., Bench], kind: str, base: str, method: str
) -> None:
    bench = trained(kind, base, method)
    result = run(RECIPE, bench.context)
    drift = result["drift"]
    assert drift["against"] == {"qlora-4": "nf4", "qlora-8": "int8"}[method]
    # Merged into the quantized weights, it would be as far from the adapter's own numbers.
    assert drift["largest_difference"] > ALLOWED
    assert 0 < drift["mean_difference"] < drift["largest_difference"]
    assert result["parity"]["largest_difference"] <= ALLOWED
    assert set(result["metrics"]["merged"]) == set(result["metrics"]["trained"])
    assert bench.workspace.models.get("whole").summary["drift"] == drift
    # Outside, the adapter lies on full-precision weights: that is the merged model.
    merged = load_model(locate(bench.workspace, "whole"), device="cpu", precision="fp32")
    assert np.allclose(outside(bench.folder, kind), scores(merged), atol=1e-4)


def test_a_bf16_base_drifts_too(trained: Callable[..., Bench]) -> None:
    bench = trained("reranker", "bert", "lora", precision="bf16")
    assert run(RECIPE, bench.context)["drift"]["against"] == "bfloat16"


def test_a_wrong_merge_fails_and_keeps_nothing(
    trained: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from peft.tuners.lora import LoraModel

    bench = trained("embedding", "bert", "lora")
    right = LoraModel.merge_and_unload

    def wrong(self: Any, *args: Any, **options: Any) -> Any:
        merged = right(self, *args, **options)
        with torch.no_grad():
            next(p for n, p in merged.named_parameters() if "value.weight" in n).mul_(1.05)
        return merged

    monkeypatch.setattr(LoraModel, "merge_and_unload", wrong)
    with pytest.raises(MergeFailed, match=r"and 0\.0001 is allowed"):
        run(RECIPE, bench.context)
    assert_nothing_kept(bench)


def test_a_merge_that_forgets_the_adapter_fails(
    trained: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft.tuners.lora import LoraModel

    bench = trained("reranker", "bert", "lora")
    monkeypatch.setattr(LoraModel, "merge_and_unload", lambda self: self.unload())
    with pytest.raises(MergeFailed):
        run(RECIPE, bench.context)
    assert_nothing_kept(bench)


def test_a_cancelled_merge_keeps_nothing(
    trained: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = trained("embedding", "bert", "lora")

    def cancelled(self: FakeContext) -> None:
        if "Checking the merged model" in self.messages:
            raise JobCancelled("Stopped.")

    monkeypatch.setattr(FakeContext, "check_cancelled", cancelled)
    with pytest.raises(JobCancelled):
        run(RECIPE, bench.context)
    assert_nothing_kept(bench)


def assert_nothing_kept(bench: Bench) -> None:
    assert [model.name for model in bench.workspace.models.added] == ["mine"]
    assert [one.name for one in (bench.workspace.home / "models").iterdir()] == [bench.record.id]


def test_a_full_model_is_no_adapter(trained: Callable[..., Bench]) -> None:
    bench = trained("embedding", "bert", "full")
    with pytest.raises(BadInput, match="is not an adapter"):
        run(RECIPE, bench.context)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """An adapter as peft saves it, with random weights, and its base beside it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import BertModel

    base = save_tiny_model(tmp_path / "base")
    torch.manual_seed(5)
    model = get_peft_model(BertModel.from_pretrained(str(base)), LoraConfig(r=4, lora_alpha=8))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(str(tmp_path / "adapter"))
    return tmp_path / "adapter"


def test_an_adapter_from_elsewhere_is_checked_on_the_library_s_texts(
    elsewhere: Path, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    # As older versions of peft save it.
    path = elsewhere / "adapter_model.safetensors"
    torch.save(load_file(path), elsewhere / "adapter_model.bin")
    path.unlink()
    workspace = FakeWorkspace(tmp_path, FakeReader(animal_splits()))
    context = FakeContext(workspace, tmp_path / "job")
    recipe = MergeRecipe(model=str(elsewhere), name="whole", device="cpu")
    result = run(recipe, context)
    assert result["parity"]["from"] == "the standard library"
    assert result["parity"]["texts"] == 64
    assert result["metrics"] is None
    assert result["base"] == "base"
    merged = load_model(locate(workspace, "whole"), device="cpu", precision="fp32")
    alone = load_model(locate_folder(workspace, tmp_path / "base"), device="cpu", precision="fp32")
    assert np.abs(scores(merged) - scores(alone)).max() > 1e-3


def test_an_adapter_of_another_model_is_refused(elsewhere: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = elsewhere / "adapter_model.safetensors"
    weights = {name.replace("layer.1", "layer.7"): w for name, w in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    workspace = FakeWorkspace(tmp_path, FakeReader(animal_splits()))
    with pytest.raises(ModelUnusable, match="belong to no layer of its base"):
        run(
            MergeRecipe(model=str(elsewhere), name="whole", device="cpu"),
            FakeContext(workspace, tmp_path / "job"),
        )
    assert not workspace.models.added


def test_a_reranker_adapter_from_elsewhere_brings_its_head(tmp_path: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import BertForSequenceClassification

    plain = save_tiny_model(tmp_path / "tiny").with_name("tiny-plain")
    base = tmp_path / "base"
    head = BertForSequenceClassification.from_pretrained(str(plain), num_labels=1)
    head.save_pretrained(str(base))
    animal_tokenizer().save_pretrained(str(base))
    lengths = {"query_max_len": 16, "passage_max_len": 32}
    Contract(kind="reranker", architecture="cross-encoder", **lengths).write(base)
    config = LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["query", "value"])
    model = get_peft_model(BertForSequenceClassification.from_pretrained(str(base)), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    model.save_pretrained(str(tmp_path / "adapter"))
    workspace = FakeWorkspace(tmp_path, FakeReader(animal_splits()))
    recipe = MergeRecipe(model=str(tmp_path / "adapter"), name="whole", device="cpu")
    result = run(recipe, FakeContext(workspace, tmp_path / "job"))
    assert (result["kind"], result["drift"]) == ("reranker", None)
    assert result["parity"]["largest_difference"] <= ALLOWED
    saved = load_model(locate(workspace, "whole"), device="cpu").model.state_dict()
    trained = model.base_model.model.classifier.modules_to_save["default"].weight
    assert any(torch.equal(value, trained) for value in saved.values())


def test_a_base_that_could_not_be_measured_has_no_value_to_beat() -> None:
    order = "the order of bm25 (first 50)"
    summary = {"metric": "map@100", "baseline": {"map@100": 0.5}, "untrained": {}}
    summary |= {"best": {"map@100": 0.6}, "baseline_name": order}
    assert _verdict(summary, "before") == ""
    assert _verdict({**summary, "best": {"map@100": 0.4}}, "before") == "below-first-stage"
