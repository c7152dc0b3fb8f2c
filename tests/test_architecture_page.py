"""docs/architecture.md names real functions: every `module:name` in it is defined there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([a-z_.]+:[A-Za-z_.]+)`", PAGE)))
PATHS = sorted(set(re.findall(r"`((?:ui|workbench|storage|docs|tests)/[\w/.]*)`", PAGE)))


def defined(module: str, name: str) -> bool:
    """Whether the module's source defines it: read, not imported, for some import torch."""
    place = ROOT / module.replace(".", "/")
    file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
    body = ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else []
    for part in name.split("."):
        found = [
            node
            for node in body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and node.name == part
        ]
        if not found:
            return False
        body = found[0].body
    return True


def test_the_page_shows_the_four_walks() -> None:
    walks = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert len(walks) == 4
    for walk in PAGE.split("\n## ")[1:]:
        assert len(set(NAMED) & set(re.findall(r"`([a-z_.]+:[A-Za-z_.]+)`", walk))) >= 4


@pytest.mark.parametrize("named", NAMED)
def test_a_named_function_exists(named: str) -> None:
    assert defined(*named.split(":"))


@pytest.mark.parametrize("path", PATHS)
def test_a_named_path_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_a_name_that_does_not_exist_is_noticed() -> None:
    assert not defined("workbench.jobs.registry", "Jobs.submitted")
    assert not defined("workbench.jobs.nowhere", "Jobs")
