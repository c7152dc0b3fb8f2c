"""What the recorder leaves on record, whatever happens to the process afterwards."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from workbench.training.callbacks import Guard, Recorder


def test_a_checkpoint_has_its_metrics_on_record(tmp_path: Path) -> None:
    written: list[str] = []
    context: Any = SimpleNamespace(flush=lambda: written.append("rows"))
    recorder = Recorder(context, Guard(), tmp_path, samples_per_step=8)
    recorder.on_save(None, SimpleNamespace(global_step=5), None)
    assert written == ["rows"]
