"""What can be said of a run before it starts: from the data, the tokenizer and the model's own
files. No torch, no network, nothing submitted."""

from workbench.checks.checking import check
from workbench.checks.report import CheckReport, Warning_

__all__ = ["CheckReport", "Warning_", "check"]
