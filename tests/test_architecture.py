"""Imports go one way: ui -> workbench -> storage; torch stays in worker processes."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "transformers", "sentence_transformers", "peft", "faiss", "accelerate"}

#: Folders and files below the line: they may import torch, and run in worker processes only.
BELOW = (
    "workbench/worker.py",
    "workbench/training/",
    "workbench/evaluation/",
    "workbench/merging/",
    "workbench/search/",
    "workbench/models/",
    "workbench/mining/",
    "workbench/quantization/",
    "workbench/synthesis/local.py",
)


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module of a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.lineno, node.module
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "." * node.level


def against(folder: str, forbidden: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sources(folder)
        for line, module in imports(path)
        if module.split(".")[0] in forbidden
    ]


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("storage", {"workbench", "ui", "app", "gradio", *HEAVY}),
        ("workbench", {"ui", "app", "gradio"}),
        ("ui", {"storage", "app", *HEAVY}),
    ],
)
def test_no_arrow_points_the_other_way(folder: str, forbidden: set[str]) -> None:
    assert sources(folder)
    assert against(folder, forbidden) == []


def test_torch_is_imported_below_the_line_only() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in sources("workbench")
        if not path.relative_to(ROOT).as_posix().startswith(BELOW)
        for line, module in imports(path)
        if module.split(".")[0] in HEAVY
    ]
    assert wrong == []


def test_what_the_page_imports_leaves_torch_out() -> None:
    """In a process of its own: everything the app loads, and every task's prepare function."""
    code = (
        "import sys, ui.main, ui.server, workbench.demo, workbench.jobs.supervisor\n"
        "import workbench.search.client\n"
        "from workbench.tasks import TASKS\n"
        "[task.load_prepare() for task in TASKS.values()]\n"
        f"print(sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_no_file_is_too_long_to_read() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for folder in ("storage", "workbench", "ui")
        for path in sources(folder)
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert long == {}
