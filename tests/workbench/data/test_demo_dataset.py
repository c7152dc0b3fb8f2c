"""Functions become pairs; the docstring never stays in the code."""

from pathlib import Path

from workbench.data.job import pairs_in

SOURCE = '''
class Box:
    @property
    def size(self):
        """Return how much fits into the box.

        Further words, which are not asked for.
        """
        width = self.width
        height = self.height
        return width * height

    def tiny(self):
        """Return nothing worth looking for."""
        return 1


def plain(a,
          b="x"):
    r\'\'\'Join two texts,
    with a comma between them.\'\'\'
    # A comment stays.
    parts = [a, b]
    def inner(text):
        """Strip a text of the spaces around it."""
        left = text.lstrip()
        right = left.rstrip()
        return right
    return ", ".join(map(inner, parts))


def silent(a):
    b = a
    c = b
    return c


def same_line(a): """A docstring on the line of the def, and code.""" ; return a
'''


def test_pairs(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(SOURCE)
    found = {pair.query: pair.code for pair in pairs_in(file, "module.py")}
    assert found == {
        "Return how much fits into the box.": (
            "@property\ndef size(self):\n    width = self.width\n    height = self.height\n"
            "    return width * height"
        ),
        "Join two texts, with a comma between them.": (
            'def plain(a,\n          b="x"):\n    # A comment stays.\n    parts = [a, b]\n'
            '    def inner(text):\n        """Strip a text of the spaces around it."""\n'
            "        left = text.lstrip()\n        right = left.rstrip()\n        return right\n"
            '    return ", ".join(map(inner, parts))'
        ),
        "Strip a text of the spaces around it.": (
            "def inner(text):\n    left = text.lstrip()\n"
            "    right = left.rstrip()\n    return right"
        ),
    }


def test_a_file_that_is_no_python(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    for text in ("def broken(:", "x = '\0'", "# coding: klingon\n"):
        file.write_text(text)
        assert list(pairs_in(file, "module.py")) == []
