"""Qrels as TREC writes them, without a header: ``query 0 document grade``, or without the 0."""

from collections.abc import Iterator, Sequence

from workbench.data.formats.delimited import numbered
from workbench.data.formats.fileformat import FileFormat, Head, Look, OpenFile
from workbench.data.formats.jsonrows import Record
from workbench.data.splits import part_of

SUFFIXES = (".qrels", ".qrel", ".trec")
#: So many lines are looked at.
_LOOKED_AT = 50
#: What stands in the second of four columns, which says nothing any more.
_ITERATIONS = {"0", "q0"}


def _look(head: Head, format: FileFormat) -> Look | None:
    rows = [cells for line in head.whole_lines[:_LOOKED_AT] if (cells := line.split())]
    if not rows or head.header == "yes":
        return None
    named = part_of(head.label) == "qrels" or head.suffix in format.suffixes
    width = len(rows[0])
    if (
        width == 4
        and not named
        and any(len(row) < 2 or row[1].lower() not in _ITERATIONS for row in rows)
    ):
        return None
    if width not in ((3, 4) if named else (4,)) or not _is_grade(rows[0]):
        return None
    # A broken line costs that line, and does not make another kind of file of it.
    fits = sum(len(row) == width and _is_grade(row) for row in rows)
    return Look(part="qrels", memo=width) if 2 * fits > len(rows) else None


def _is_grade(cells: Sequence[str]) -> bool:
    try:
        return float(cells[-1]).is_integer()
    except (ValueError, OverflowError):
        return False


def read(file: OpenFile) -> Iterator[Record]:
    """Each line's query, document and grade."""
    width = file.memo or 4
    for number, line in numbered(file.blocks(), file.report):
        cells = line.split()
        if len(cells) == width:
            yield number, {"query-id": cells[0], "corpus-id": cells[-2], "score": cells[-1]}
        elif cells:
            file.report.add("missing-field", number, None, detail="query, document and grade")


FORMAT = FileFormat("trec", "TREC qrels", SUFFIXES, read, order=70, look=_look)
