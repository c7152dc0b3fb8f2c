"""The records that the page reads, under the engine's name: ``ui`` never imports ``storage``."""

from storage.records import (
    Dataset,
    Evaluation,
    Index,
    Job,
    JobEvent,
    JobStatus,
    MetricRow,
    Model,
    Pick,
)

__all__ = [
    "Dataset",
    "Evaluation",
    "Index",
    "Job",
    "JobEvent",
    "JobStatus",
    "MetricRow",
    "Model",
    "Pick",
]
