"""Imports go one way: ui -> workbench -> storage; torch stays in worker processes."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {
    "torch",
    "transformers",
    "sentence_transformers",
    "peft",
    "faiss",
    "accelerate",
    "openvino",
}

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


def test_only_the_local_launcher_and_its_runner_know_processes_and_locks() -> None:
    """Whoever looks after a job asks its handle; a supervisor knows who it is, and who lives."""
    locks = [one for folder in ("storage", "workbench") for one in against(folder, {"fcntl"})]
    assert [one.split(":")[0] for one in locks] == ["workbench/jobs/processes.py"]
    known: dict[str, set[str]] = {}
    for path in sources("workbench"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            names = {alias.name for alias in node.names}
            if node.module == "workbench.jobs.processes":
                known.setdefault(path.name, set()).update(names)
            elif node.module == "workbench.jobs" and "processes" in names:
                known.setdefault(path.name, set()).add("all")
    who = {name for name, found in known.items() if found - {"alive", "this_process"}}
    assert who == {"launchers.py", "runner.py"}


def graph() -> dict[str, set[str]]:
    """Module -> our modules that it imports anywhere: for its types and in functions, too."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for folder in ("storage", "workbench", "ui")
        for path in sources(folder)
    }
    found: dict[str, set[str]] = {}
    for module, path in paths.items():
        found[module] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                names = [one if one in paths else node.module for one in inner]
            found[module].update(name for name in names if name in paths and name != module)
    return found


def test_no_imports_go_in_a_circle() -> None:
    try:
        TopologicalSorter(graph()).prepare()
    except CycleError as error:
        raise AssertionError(" is imported by ".join(error.args[1])) from None


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
    """In a process of its own: everything the app loads, and what a recipe is prepared by."""
    code = (
        "import sys, ui.main, ui.web.server, workbench.demo, workbench.jobs.supervisor\n"
        "import workbench.search.client, workbench.prepare\n"
        "from workbench.recipes.describe import describe\n"
        "from workbench.tasks import all_tasks, load\n"
        "[task.load_prepare() for task in all_tasks().values()]\n"
        "fits = [one.fits for task in all_tasks().values() for one in describe(task.recipe)]\n"
        "[load(where) for fit in fits if fit for where in (fit.check, fit.refusal) if where]\n"
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


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("workbench.jobs.runner", {"numpy", "pydantic", "sqlalchemy"}),
        ("workbench.search.resident", {"numpy", "pydantic", "sqlalchemy", "pyarrow"}),
        ("workbench.worker", {"scipy", "pyarrow", "openai", *HEAVY}),
        ("workbench.cli.main", {"scipy", "openai", "ir_measures", "gradio", *HEAVY}),
    ],
)
def test_what_starts_often_starts_light(module: str, heavy: set[str]) -> None:
    code = f"import sys, {module}; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def _named_in(path: Path) -> set[str]:
    """What a module defines or imports, by name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(one.asname or one.name).partition(".")[0] for one in node.names}
    return found


def _missing(path: Path) -> Iterator[str]:
    """What a file imports of the project that is not there."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        place = ROOT / node.module.replace(".", "/")
        if node.module.split(".")[0] not in ("workbench", "ui", "storage", "benchmarks"):
            continue
        module = place.with_suffix(".py")
        source = module if module.is_file() else place / "__init__.py"
        known = _named_in(source) if source.is_file() else set()
        for one in node.names:
            inside = place / one.name
            if (
                one.name not in known
                and not inside.is_dir()
                and not inside.with_suffix(".py").is_file()
            ):
                yield f"{path.name}:{node.lineno} {node.module}.{one.name}"


def test_what_benchmarks_import_is_there() -> None:
    """Nothing else looks: they run for minutes, and their types are not checked."""
    assert [one for path in sources("benchmarks") for one in _missing(path)] == []
