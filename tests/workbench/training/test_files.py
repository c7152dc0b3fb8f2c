"""Checkpoints found, models copied without the trainer's files, losses per epoch, the card."""

import json
from pathlib import Path

import pytest

from tests.workbench.comparison.test_trained import AUTO, NO_BETTER
from workbench.comparison.names import METRICS
from workbench.models.contract import Contract
from workbench.training.card import Card, write_card
from workbench.training.checkpoints import copy_model, newest_checkpoint
from workbench.training.run import mean_losses


def checkpoint(output: Path, step: int, *, whole: bool = True) -> Path:
    folder = output / f"checkpoint-{step}"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "optimizer.pt").write_bytes(b"optimizer")
    state = json.dumps({"global_step": step})
    (folder / "trainer_state.json").write_text(state if whole else state[:5])
    return folder


def test_the_newest_whole_checkpoint_is_found_and_broken_ones_go(tmp_path: Path) -> None:
    checkpoint(tmp_path, 9)
    checkpoint(tmp_path, 20)
    broken = checkpoint(tmp_path, 30, whole=False)
    assert newest_checkpoint(tmp_path) == (20, tmp_path / "checkpoint-20")
    assert not broken.exists()
    assert newest_checkpoint(tmp_path / "checkpoint-9") is None


def test_the_model_is_copied_without_the_trainers_files(tmp_path: Path) -> None:
    source = checkpoint(tmp_path, 5)
    target = tmp_path / "final"
    copy_model(source, target)
    found = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
    assert found == {"model.safetensors", "1_Pooling/config.json"}
    (source / "model.safetensors").unlink()
    assert (target / "model.safetensors").read_bytes() == b"weights"


def test_without_links_it_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("workbench.training.checkpoints.os.link", refuse)
    copy_model(checkpoint(tmp_path, 5), tmp_path / "final")
    assert (tmp_path / "final" / "model.safetensors").read_bytes() == b"weights"


def test_mean_losses_per_epoch() -> None:
    entries = [
        {"loss": 4.0, "epoch": 0.5},
        {"loss": 2.0, "epoch": 1.0},
        {"eval_map@100": 0.5, "epoch": 1.0},
        {"loss": 1.0, "epoch": 1.0000001},
    ]
    assert mean_losses(entries) == [
        {"epoch": 1, "loss": 3.0, "steps": 2},
        {"epoch": 2, "loss": 1.0, "steps": 1},
    ]


def card(**values: object) -> Card:
    known: dict[str, object] = {
        "name": "mine",
        "base": "base",
        "dataset": "pets",
        "dataset_version": 1,
        "contract": Contract(query_prompt="query: ", dimensions=8),
        "before": dict.fromkeys(METRICS.names(), 0.5),
        "method": "full",
        "after": dict.fromkeys(METRICS.names(), 0.625),
        "baseline_name": "the original",
        "verdict": "",
        "dev_queries": 24,
        "dev_documents": 240,
        "rows": 96,
        "steps": 24,
        "best_step": 9,
        "trained_at": {"query_max_len": 64, "passage_max_len": 128},
        "excluded": ("Its own document is left out.",),
        "settings": {"epochs": 1.0},
    }
    known |= values
    known.setdefault("baseline", known["before"])
    return Card(**known)  # type: ignore[arg-type]


def test_card_has_the_table_and_the_prompts(tmp_path: Path) -> None:
    write_card(tmp_path, card())
    page = (tmp_path / "README.md").read_text()
    assert "| MAP@100 | 0.500 | 0.625 | +0.125 |" in page
    assert "| Query prompt | `query: ` |" in page and "- epochs: 1.0" in page
    assert "use the original" not in page
    assert "Its own document is left out. Texts are truncated: queries to 512 tokens" in page
    assert "| In training | queries truncated to 64 tokens, documents to 128 |" in page


def test_after_is_what_was_found_on_other_queries_than_were_trained_on(tmp_path: Path) -> None:
    """With its interval, how it was estimated, and what was decided for it."""
    values = {"baseline": {"map@100": 0.605}, "after": {"map@100": 0.636}}
    write_card(tmp_path, card(before=values["baseline"], found=AUTO, **values))
    page = (tmp_path / "README.md").read_text()
    assert "| MAP@100 | 0.605 | 0.636 | +0.031 [+0.012, +0.051], p = 0.001 |" in page
    assert "On 432 queries in 80 groups over up to 240 documents. Each query was judged by" in page
    assert "use minilm-scifact." in page
    assert "| Serving length | 256 | measured | The base's MAP@100 on your" in page
    assert "checkpoint was chosen" not in page
    write_card(tmp_path, card(verdict="no-better", found=NO_BETTER))
    page = (tmp_path / "README.md").read_text()
    assert "Not shown to be better than the original" in page and "No better than" not in page


def test_card_says_that_its_value_is_the_best_of_many(tmp_path: Path) -> None:
    write_card(tmp_path, card(found={"looks": 9}))
    page = (tmp_path / "README.md").read_text()
    assert "the highest of 9 evaluations on the same dev queries, so it is too good" in page
    assert "## Decided" not in page
    write_card(tmp_path, card())
    assert "The best checkpoint was chosen by these" in (tmp_path / "README.md").read_text()


def test_card_says_when_nothing_was_gained_or_measured(tmp_path: Path) -> None:
    write_card(tmp_path, card(verdict="no-better"))
    assert "use the original instead" in (tmp_path / "README.md").read_text()
    write_card(tmp_path, card(before={}, after={}))
    assert "has no dev queries" in (tmp_path / "README.md").read_text()
