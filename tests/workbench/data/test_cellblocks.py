"""Blocks of CSV become columns where every quotation mark is in its place, and only there."""

from typing import Any

import pytest

from workbench.data.formats.arrow import ArrowBlock
from workbench.data.formats.cellblocks import Dialect, whole_rows
from workbench.data.lines import Block
from workbench.data.shapes.blocks import Doubt

COMMAS = Dialect(("a", "b"), ",", True, 5)
TABS = Dialect(("a", "b"), "\t", True, 5)


def read(text: str, dialect: Dialect = COMMAS) -> Any:
    """The rows with their lines, and what is left for the next block; None where they are not read
    together."""
    found, lines, rest = whole_rows(Block(10, text.encode()), dialect)
    if found is None:
        assert rest is None
        return None
    left = (rest.first, rest.data.decode()) if rest else None
    assert lines.data.decode() + (left[1] if left else "") in (text, text + "\n")
    cells = zip(*(found.values(name) for name in found.names), strict=True)
    return list(zip(found.lines.tolist(), cells, strict=True)), left


def test_rows() -> None:
    assert read('x,y\n"a, ""b""\nc",\r\n1,"2"') == (
        [(10, ("x", "y")), (11, ('a, "b"\nc', "")), (13, ("1", "2"))],
        None,
    )


def test_a_row_that_goes_on() -> None:
    assert read('x,y\n1,"2\n3') == ([(10, ("x", "y"))], (11, '1,"2\n3\n'))


@pytest.mark.parametrize(
    "text",
    [
        'x,y"z\n',
        'x,"y"z\n',
        'x, "y"\n',
        'x,"y" \n',
        "x,y,z\n",
        "x\n",
        "x,y\rz,w\n",
        'x,"a\\"b"\n',
        'x,"' + "\n" * 6 + '"\n',
        'x,"y\n',
        "\ufeffx,y\n",
    ],
)
def test_doubt(text: str) -> None:
    assert read(text) is None


def test_bytes_that_are_no_text() -> None:
    assert whole_rows(Block(1, b"x,\xff\n"), COMMAS)[0] is None
    assert whole_rows(Block(1, b"", [b"x,y"], bad=frozenset({0})), COMMAS)[0] is None


def test_tabs() -> None:
    assert read('x\t"a\tb"\n', TABS) == ([(10, ("x", "a\tb"))], None)
    assert read('x\t"a\nb"\n', TABS) is None
    assert read('x\t"y\n', Dialect(("a", "b"), "\t", False, 5)) == ([(10, ("x", '"y'))], None)


@pytest.mark.parametrize("cell", ["NaN", "['a', 'b']", "[]", "", " "])
def test_cells_that_stand_for_something_else(cell: str) -> None:
    found, _, _ = whole_rows(Block(1, f'x,y\nz,"{cell}"\n'.encode()), COMMAS)
    assert isinstance(found, ArrowBlock)
    with pytest.raises(Doubt):
        found.text("b")


def test_texts_row_by_row() -> None:
    found, _, _ = whole_rows(Block(1, b"x,y\n,[z]\nv,(w)\n"), COMMAS)
    assert found is not None
    texts, counts = found.texts(["b", "a"])
    assert texts.to_pylist() == ["y", "x", "[z]", "(w)", "v"]
    assert counts.tolist() == [[1, 1, 1], [1, 0, 1]]
