"""Texts that are no table: plain text, Markdown and PDF, read as documents in pieces."""

from collections.abc import Iterator
from typing import Any

from workbench.data.formats.fileformat import PROSE, FileFormat, Head, Look, OpenFile
from workbench.data.lines import Block
from workbench.data.pieces import Cutter, Piece
from workbench.data.problems import Report, shorten
from workbench.data.shapes.row import Document, as_fields

#: A text is cut a stretch of about so many characters at a time, so that memory stays bounded.
STRETCH = 1 << 20
#: Titles longer than this are no titles.
_TITLE = 200


def read(
    kind: str, lines: Iterator[tuple[int, str]], label: str, cutter: Cutter
) -> Iterator[Piece]:
    """The pieces of a text or (kind 'markdown') a Markdown file, given its lines."""
    number = 0
    for first, text in _stretches(lines, kind):
        parts = (
            cutter.markdown(text)
            if kind == "markdown"
            else [("", one) for one in cutter.text(text)]
        )
        for heading, piece in parts:
            number += 1
            about = {"file": label, "heading": heading, "piece": number}
            yield Piece(first, _document(piece, _last(heading), about))


def _stretches(lines: Iterator[tuple[int, str]], kind: str) -> Iterator[tuple[int, str]]:
    """The text in large parts, each ending before a heading or an empty line if there is one."""
    kept: list[str] = []
    size, first = 0, 1
    for number, line in lines:
        good = line.startswith("#") if kind == "markdown" else not line.strip()
        if size > STRETCH and (good or size > 4 * STRETCH):
            yield first, "".join(kept)
            kept, size, first = [], 0, number
        kept.append(line)
        size += len(line)
    yield first, "".join(kept)


def text_lines(blocks: Iterator[Block], report: Report) -> Iterator[tuple[int, str]]:
    """The lines of a text; what does not decode is replaced, and said once."""
    told = False
    for block in blocks:
        for position, line in enumerate(block.lines):
            text = line.removesuffix(b"\r").decode("utf-8", "replace")
            if not told and (
                position in block.bad or ("\ufffd" in text and b"\xef\xbf\xbd" not in line)
            ):
                told = True
                report.add(
                    "not-utf8", block.first + position, detail=report.encoding, severity="warning"
                )
            # Form feeds and zero bytes of old programs are no text.
            yield block.first + position, text.replace("\x00", "").replace("\x0c", "\n") + "\n"


def read_pdf(file: Any, label: str, cutter: Cutter, report: Report) -> Iterator[Piece]:
    """The pieces of a PDF, page by page. A page that cannot be read costs that page."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(file)
        if reader.is_encrypted and not reader.decrypt(""):
            report.add("unreadable", 0, detail="it is locked with a password")
            return
        pages = len(reader.pages)
        title = _title(reader)
    except (PyPdfError, *_BROKEN) as error:
        report.add("unreadable", 0, detail=_said(error))
        return
    number = 0
    for page in range(pages):
        try:
            text = reader.pages[page].extract_text().replace("\x00", "")
        except (PyPdfError, *_BROKEN) as error:
            report.add("unreadable", page + 1, "page", detail=_said(error))
            continue
        for piece in cutter.text(_storable(text)):
            number += 1
            about = {"file": label, "page": page + 1, "piece": number}
            yield Piece(page + 1, _document(piece, title, about))
    if not number and not report.spoken:
        report.add("no-text", 0)


#: What a parser of damaged files stumbles over, besides its own errors.
_BROKEN = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError),
    *(OSError, AssertionError, NotImplementedError, MemoryError),
)


def _said(error: BaseException) -> str:
    return shorten(str(error) or type(error).__name__, 150).rstrip(".")


def _title(reader: Any) -> str:
    said = reader.metadata.title if reader.metadata else None
    title = " ".join(_storable(str(said)).split()) if said else ""
    return title if len(title) <= _TITLE else ""


def _storable(text: str) -> str:
    """Lone surrogates, which no file of ours can hold, become signs of that."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _document(text: str, title: str, about: dict[str, Any]) -> Document:
    kept = {name: value for name, value in about.items() if value not in ("", None)}
    return Document(text, title, None, as_fields(kept))


def _last(heading: str) -> str:
    return heading.rsplit(" > ", 1)[-1]


def _look(head: Head, format: FileFormat) -> Look | None:
    """By its name, which says what text is for; a PDF by its first bytes too."""
    named = head.suffix in format.suffixes
    begins = any(head.data.startswith(start) for start in format.first_bytes)
    return Look(part="texts") if named or begins else None


def _text(file: OpenFile, cutter: Cutter) -> Iterator[Piece]:
    return read("text", text_lines(file.blocks(), file.report), file.label, cutter)


def _markdown(file: OpenFile, cutter: Cutter) -> Iterator[Piece]:
    return read("markdown", text_lines(file.blocks(), file.report), file.label, cutter)


def _pdf(file: OpenFile, cutter: Cutter) -> Iterator[Piece]:
    with file.whole() as stream:
        yield from read_pdf(stream, file.label, cutter, file.report)
    file.tick(file.size)


TEXT = FileFormat("text", "plain text", PROSE, pieces=_text, order=90, look=_look)
MARKDOWN = FileFormat(
    "markdown", "Markdown", (".md", ".markdown"), pieces=_markdown, order=50, look=_look
)
PDF = FileFormat(
    "pdf", "PDF", (".pdf",), pieces=_pdf, order=40, first_bytes=(b"%PDF-",), look=_look
)
FORMATS = (PDF, MARKDOWN, TEXT)
