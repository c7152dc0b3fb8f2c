"""Long texts cut into pieces that a model can take in: by headings, then by size in its tokens.

The cutting is langchain-text-splitters'. Each piece keeps where it comes from among its own fields.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.data.shapes.row import Document, as_fields
from workbench.errors import BadInput
from workbench.models import registry
from workbench.models.resolve import resolve

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    from workbench.workspace import Workspace

#: Where a text is cut first: between paragraphs, lines, sentences (Chinese ones too), words.
_SEPARATORS = [
    *("\n\n", "\n", "。", "！", "？", ". ", "! ", "? ", "；", "; ", "，", ", ", " ", ""),
]
_HEADINGS = [("#" * level, str(level)) for level in range(1, 7)]


@dataclass(frozen=True, slots=True)
class Piece:
    """A document and the line (in a PDF: the page) where it was found."""

    place: int
    document: Document


@dataclass(frozen=True)
class Cutter:
    """``length`` counts the tokens of a text; a ``size`` of 0 leaves texts whole."""

    size: int
    overlap: int
    length: Callable[[str], int]

    def text(self, text: str) -> list[str]:
        """The pieces of a plain text, in order."""
        if not text.strip():
            return []
        if not self.size:
            return [text.strip()]
        return [piece for piece in self._splitter.split_text(text) if piece.strip()]

    def markdown(self, text: str) -> Iterator[tuple[str, str]]:
        """(headings above it, piece); a piece never goes on under the next heading."""
        if not self.size:
            yield from (("", piece) for piece in self.text(text))
            return
        from langchain_text_splitters import ExperimentalMarkdownSyntaxTextSplitter

        # The other Markdown splitter takes the indentation of code away.
        parts = ExperimentalMarkdownSyntaxTextSplitter(_HEADINGS).split_text(text)
        any_at_all = False
        for headings, together in groupby(parts, key=_headings):
            section = "".join(part.page_content for part in together)
            for piece in self.text(section):
                any_at_all = True
                yield headings, piece
        if not any_at_all:  # Headings and nothing below them.
            yield from (("", piece) for piece in self.text(text))

    def document(self, whole: Document) -> Iterator[Document]:
        """A document as its pieces: itself where it is short enough."""
        pieces = self.text(whole.text)
        if len(pieces) < 2:
            yield whole
            return
        known = json.loads(whole.fields) if whole.fields else {}
        for number, piece in enumerate(pieces, 1):
            id = f"{whole.id}#{number}" if whole.id is not None else None
            yield Document(piece, whole.title, id, as_fields({**known, "piece": number}))

    @cached_property
    def _splitter(self) -> "RecursiveCharacterTextSplitter":
        # Imported here: it takes half a second, and most imports cut nothing.
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        return RecursiveCharacterTextSplitter(
            chunk_size=self.size,
            chunk_overlap=self.overlap,
            length_function=self.length,
            separators=_SEPARATORS,
            keep_separator="end",
        )


def _headings(part: Any) -> str:
    levels = sorted(part.metadata.items())
    return " > ".join(text.strip() for level, text in levels if level.isdigit() and text.strip())


def cutter_for(workspace: "Workspace", size: int, overlap: int, model: str) -> Cutter:
    """A cutter by a model's tokens; raises :class:`BadInput` where its tokenizer is not here."""
    if not size:
        return Cutter(0, 0, len)
    if overlap >= size:
        raise BadInput(
            f"Chunks of {size} tokens cannot overlap by {overlap}.",
            "Choose an overlap smaller than the size, for example an eighth of it.",
        )
    return Cutter(size, overlap, token_counter(tokenizer_file(workspace, model)))


def tokenizer_file(workspace: "Workspace", model: str) -> Path:
    """The ``tokenizer.json`` of a model of the workspace, a folder, or the packaged one."""
    if model in registry.ALIASES and not workspace.models.exists(model):
        folder = registry.packaged_folder()  # Its tokenizer alone: nothing is copied.
    else:
        found = resolve(workspace, model)
        while found.base is not None:
            found = found.base
        if not found.local:
            raise BadInput(
                f"The tokenizer of '{model}' is not on this machine yet.",
                "Add the model to the workspace first, or count with another model's tokens.",
            )
        folder = Path(found.source)
    for file in (folder / "tokenizer.json", *sorted(folder.glob("*/tokenizer.json"))):
        if file.is_file():
            return file
    raise BadInput(
        f"The model '{model}' has no tokenizer.json to count tokens with.",
        "Count with another model's tokens, for example those of all-MiniLM-L6-v2.",
    )


def token_counter(file: Path) -> Callable[[str], int]:
    """How many tokens a text has, without those that a model puts around it."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return count
