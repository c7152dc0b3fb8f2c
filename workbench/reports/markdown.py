"""What every Markdown report is made of."""

from collections.abc import Sequence
from datetime import UTC, datetime

from workbench.comparison.table import markdown_line


def markdown_table(names: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """``texts``: how many columns at the left are no numbers."""
    rule = ["---"] * texts + ["---:"] * (len(names) - texts)
    return "\n".join(markdown_line(list(line)) for line in (names, rule, *rows))


def when(measured_at: float) -> str:
    """Seconds since the epoch, as a person reads them."""
    return datetime.fromtimestamp(measured_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
