"""A job context without a job, and short ways to import texts in a test."""

import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.data.job import run_import
from workbench.data.reader import DatasetReader
from workbench.errors import JobCancelled
from workbench.recipes.data import ImportRecipe
from workbench.workspace import Workspace

_NUMBERS = itertools.count()


@dataclass
class FakeContext:
    """Remembers what a task says. ``cancel_after``: the person asks to stop at that check."""

    workspace: Workspace
    folder: Path
    resuming: bool = False
    cancelled: bool = False
    cancel_after: int | None = None
    checks: int = 0
    seen: list[tuple[float, float | None, str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    job: Any = None

    def progress(
        self, done: float, total: float | None = None, unit: str = "", message: str = ""
    ) -> None:
        self.seen.append((done, total, unit, message))

    def metrics(self, step: int, kind: str, values: Any) -> None:
        raise AssertionError("imports report no metrics")

    def forget_metrics_after(self, step: int) -> None:
        raise AssertionError("imports report no metrics")

    def flush(self) -> None:
        return None

    def check_cancelled(self) -> None:
        self.checks += 1
        if self.cancel_after is not None and self.checks > self.cancel_after:
            raise JobCancelled("Stopped, as asked.")

    def note(self, message: str) -> None:
        self.notes.append(message)


def context(workspace: Workspace, **more: Any) -> FakeContext:
    folder = workspace.home / "jobs" / f"job{next(_NUMBERS)}"
    folder.mkdir(parents=True)
    return FakeContext(workspace, folder, **more)


def bring(workspace: Workspace, *paths: Path, **more: Any) -> tuple[dict[str, Any], DatasetReader]:
    """Import files and read the data set back."""
    name = more.pop("name", f"set{next(_NUMBERS)}")
    recipe = ImportRecipe(paths=[str(path) for path in paths], name=name, **more)
    result = run_import(recipe, context(workspace))
    return result, workspace.datasets.read(name)


def lines(path: Path, rows: list[Any]) -> Path:
    """Write rows as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    return path


def pdf(*pages: str, title: str = "", password: str = "") -> bytes:
    """A PDF with a line of text on each page."""
    import io

    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    names = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    kept = {NameObject(key): NameObject(value) for key, value in names.items()}
    font = writer._add_object(DictionaryObject(kept))
    for text in pages:
        page = writer.add_blank_page(600, 300)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        drawn = DecodedStreamObject()
        drawn.set_data(f"BT /F1 12 Tf 10 200 Td ({text}) Tj ET".encode() if text else b"")
        page[NameObject("/Contents")] = writer._add_object(drawn)
    if title:
        writer.add_metadata({"/Title": title})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def codes(result: dict[str, Any]) -> list[tuple[str, int | None, str]]:
    """(code, line, severity) of each problem."""
    return [(one["code"], one["line"], one["severity"]) for one in result["problems"]]


def everything(reader: DatasetReader) -> dict[str, tuple[str, list[str], list[str]]]:
    """query -> (split, positives, negatives) of all queries."""
    rows = reader.page(0, reader.counts["queries"])
    return {row.query: (row.split, row.positives, row.negatives) for row in rows}
