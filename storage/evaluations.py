"""Evaluations on record."""

from storage.records import Evaluation
from storage.rows import Rows
from storage.tables import evaluations


class EvaluationRows(Rows[Evaluation]):
    table = evaluations
    record = Evaluation

    def for_job(self, job_id: str) -> list[Evaluation]:
        """What one job measured, newest first."""
        return self.list(job_id=job_id)
