"""Models trained in memory, and the average of their last weights."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.workbench.training.fakes import (
    FakeContext,
    animals_job,
)
from workbench.auto.folds import Dealt, deal, judged_queries
from workbench.errors import JobCancelled
from workbench.recipes.train import TrainEmbeddingRecipe

# Importing torch and sentence-transformers takes 6 to 11 s; each run after that about one.
pytestmark = pytest.mark.slow


def run_of(context: FakeContext, tiny: Path, **values: Any) -> Any:
    """A run over two thirds of the training queries; the others judge."""
    from dataclasses import replace

    from workbench.training.embedding import EmbeddingTraining
    from workbench.training.loop import look_up

    settings: dict[str, Any] = {
        "dataset": "pets", "model": str(tiny), "batch_size": 16, "max_steps": 12,
        "learning_rate": 5e-3, "precision": "fp32", "device": "cpu",
    }  # fmt: skip
    recipe = TrainEmbeddingRecipe.read({**settings, **values})
    run = look_up(recipe, context, EmbeddingTraining(), measures=False)  # type: ignore[arg-type]
    rows = judged_queries(run.reader, "train")
    fold = deal(rows, 3, seed=0)
    dealt = Dealt(run.reader, rows[fold != 0], rows[fold == 0])
    return replace(run, reader=dealt)


def fitted(run: Any) -> Any:
    from workbench.auto.fit import fit
    from workbench.training.embedding import EmbeddingTraining

    training = EmbeddingTraining()
    return fit(run, training, training.start(run.recipe, run.base))


def test_a_fold_learns_and_leaves_nothing_but_logs(tiny: Path, tmp_path: Path) -> None:
    from workbench.evaluation.measure import measure
    from workbench.evaluation.pool import dev_pool

    context = animals_job(tmp_path, dev=0)
    run = run_of(context, tiny, save_steps=2)
    found = fitted(run)
    assert (found.steps, found.rows) == (12, 64)
    pool = dev_pool(run.reader, max_queries=None, max_documents=None, seed=0)
    assert len(pool.queries) == 32
    before = measure(run.load(run.base), pool).scores.means()["map@100"]
    assert measure(found.loaded, pool).scores.means()["map@100"] > before + 0.2
    assert found.loaded.contract == found.contract and found.contract.dataset == "pets"
    assert list(context.folder.rglob("checkpoint-*")) == []
    assert list(context.folder.rglob("*.safetensors")) == []


@pytest.mark.parametrize("method", ["full", "qlora"])
def test_the_base_is_measured_as_it_is_used_later(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not quantized, as it is under an adapter; and at each length that is asked for."""
    from types import SimpleNamespace as Some

    from workbench.auto import fit
    from workbench.models.contract import Contract

    loaded: list[Any] = []
    measured: list[tuple[Any, int]] = []

    def load(_base: Any, contract: Contract, keeping: Any = None) -> Any:
        loaded.append(keeping)
        return _model(keeping, contract)

    def _model(keeping: Any, contract: Contract) -> Any:
        made = Some(keeping=keeping, contract=contract, model="weights")
        made.with_contract = lambda other: _model(keeping, other)
        return made

    def measure(model: Any, **_: Any) -> Any:
        measured.append((model.keeping, model.contract.passage_max_len))
        values = {"map@100": np.zeros(2)}
        return Some(scores=Some(queries=np.arange(2), values=values, means=dict))

    contract = Contract(passage_max_len=128)
    dev_task = Some(measure=measure, documents=9, orders=dict)
    training = Some(
        start=lambda _recipe, _base: contract,
        brings=lambda *_: True,
        dev=lambda *_: Some(dev_task=dev_task),
    )
    run: Any = Some(
        recipe=Some(method=method), context=Some(metrics=lambda *_: None, check_cancelled=None),
        base="base", reader=None, output=None, device="cpu", precision="fp32", load=load,
    )  # fmt: skip
    monkeypatch.setattr(fit, "keeping_for", lambda *_: "less" if method == "qlora" else "fp32")
    monkeypatch.setattr(fit, "trained_weights", lambda _model: {})
    monkeypatch.setattr(fit, "put_between", lambda *_: None)

    def trained(_run: Any, _training: Any, start: Contract, model: Any) -> Any:
        """It loads the base itself where none is handed on."""
        model = model or load("base", start, fit.keeping_for(run.recipe, run.precision))
        return Some(loaded=model, contract=start, before={}, steps=3, seconds=1.0)

    monkeypatch.setattr(fit, "fit", trained)
    found = fit.judge(run, training, (1.0,), (256,))  # type: ignore[arg-type]
    assert list(found.lengths) == [256]
    if method == "full":
        assert loaded == ["fp32"] and [length for _, length in measured] == [128, 256, 128]
    else:
        assert loaded == [None, "less"]
        assert measured == [(None, 128), (None, 256), ("less", 128)]
    measured.clear()
    found = fit.judge(run, training, (1.0, 0.5), (256,), serves=(128, 256))  # type: ignore[arg-type]
    assert [str(one) for one in found.candidates] == [
        "1 at 128", "0.5 at 128", "1 at 256", "0.5 at 256",
    ]  # fmt: skip
    assert [length for _, length in measured[2:]] == [128, 128, 256, 256]


def test_it_stops_between_two_steps(tiny: Path, tmp_path: Path) -> None:
    context = animals_job(tmp_path, dev=0, cancel_at=2)
    with pytest.raises(JobCancelled):
        fitted(run_of(context, tiny))
    assert [step for step, _ in context.of("train")] == [1, 2]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_last_weights_are_averaged(method: str, tiny: Path, tmp_path: Path) -> None:
    """Of runs of 4, 5 and 6 steps at a constant rate, which take the same steps."""
    how = {"method": method, "scheduler": "constant", "warmup": 0.0, "seed": 3}

    def trained(steps: int, share: float) -> dict[str, np.ndarray]:
        context = animals_job(tmp_path / f"{steps}-{share}", dev=0)
        run = run_of(context, tiny, max_steps=steps, average_weights=share, **how)
        model = fitted(run).loaded.model
        return {
            name: one.detach().numpy().copy()
            for name, one in model.named_parameters()
            if one.requires_grad
        }

    each = [trained(steps, 0.0) for steps in (4, 5, 6)]
    average = trained(6, 0.5)
    assert set(average) == set(each[0])
    assert all(("lora" in name) == (method == "lora") for name in average)
    for name, value in average.items():
        mean = np.mean([one[name] for one in each], axis=0)
        assert np.allclose(value, mean, atol=1e-6), name
    assert any(np.abs(average[name] - each[-1][name]).max() > 1e-4 for name in average)


def test_a_part_says_which_one_it_is_and_goes_on_counting(tmp_path: Path) -> None:
    from workbench.auto.fit import Part

    context = animals_job(tmp_path, dev=0)
    part = Part(context, "Fold 2 of 3", after=40)  # type: ignore[arg-type]
    part.progress(1, 20, "steps", "Training")
    part.metrics(1, "train", {"loss": 1.0})
    part.note("said once for the job")
    assert context.messages == ["Fold 2 of 3: Training"] and context.notes == []
    assert context.rows == [(41, "train", {"loss": 1.0})]
    part.forget_metrics_after(-1)
    assert context.rows == []
    context.cancelled = True
    with pytest.raises(JobCancelled):
        part.check_cancelled()


def test_of_several_processes_the_first_one_keeps_the_sum_and_all_go_on_from_it(
    tmp_path: Path,
) -> None:
    from types import SimpleNamespace

    import torch

    from workbench.training.averaging import AVERAGE, Averaging

    model = torch.nn.Linear(2, 1)
    state = SimpleNamespace(global_step=9, max_steps=10, is_world_process_zero=False)
    other, first = Averaging(0.5, tmp_path), Averaging(0.5, tmp_path)
    for one in (other, first):
        one.on_step_end(None, state, None, model)
    other.on_save(None, state, None)
    assert list(tmp_path.iterdir()) == []
    state.is_world_process_zero = True
    first.on_save(None, state, None)
    assert [path.name for path in tmp_path.iterdir()] == [AVERAGE]
    again = [Averaging(0.5, tmp_path), Averaging(0.5, tmp_path)]
    for at, one in enumerate(again):
        state.is_world_process_zero = not at
        one.on_train_begin(None, state, None)
    assert [one.count for one in again] == [1, 1]
    # A checkpoint of another step: it is as good as none, and nobody takes it from the others.
    state.global_step = 8
    for one in (late := [Averaging(0.5, tmp_path), Averaging(0.5, tmp_path)]):
        one.on_train_begin(None, state, None)
    assert [one.count for one in late] == [0, 0] and (tmp_path / AVERAGE).is_file()
