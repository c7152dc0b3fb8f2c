"""Measuring on dev: the original before the first step, the model in training, the saved one."""

import json
from pathlib import Path

from workbench.evaluation.measure import Encoder, measure
from workbench.evaluation.pool import Pool
from workbench.jobs.context import JobContext

BASELINE_FILE = "baseline.json"


class Dev:
    """One fixed pool, measured again and again; every row goes into the job's record."""

    def __init__(self, pool: Pool, context: JobContext, output: Path) -> None:
        self.pool = pool
        self.context = context
        self.output = output

    def baseline(self, encoder: Encoder) -> dict[str, float]:
        """The original's values, used as its own contract says; measured once per job.

        A resumed attempt reads them from the first one: its row is already on the chart.
        """
        path = self.output / BASELINE_FILE
        if path.is_file():
            return dict(json.loads(path.read_text(encoding="utf-8")))
        values = self._measure(encoder, "Measuring the original on dev")
        self.context.metrics(0, "baseline", values)
        path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
        return values

    def during_training(self, encoder: Encoder, step: int) -> dict[str, float]:
        """The model as it is after ``step`` steps; reported as a row of that step."""
        values = measure(encoder, self.pool, stop=self.context.check_cancelled).scores.means()
        self.context.metrics(step, "dev", values)
        return values

    def check_saved(self, encoder: Encoder) -> dict[str, float]:
        """The model as it was read back from disk."""
        return self._measure(encoder, "Checking the best checkpoint")

    def _measure(self, encoder: Encoder, message: str) -> dict[str, float]:
        def progress(done: int, total: int) -> None:
            self.context.progress(done, total, "texts", message)

        stop = self.context.check_cancelled
        return measure(encoder, self.pool, progress=progress, stop=stop).scores.means()
