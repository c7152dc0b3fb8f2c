"""benchmarks/run.py: what it keeps, what it writes, and that every benchmark runs at all."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import run

ROOT = Path(__file__).resolve().parents[2]
FACTS = {"processor": "A processor", "cores": 2, "memory_gb": 24}


def result(name: str = "import", busy: bool = False, seconds: float = 1.0) -> dict[str, Any]:
    row = {"name": "reading", "unit": "s", "better": "less", "ours": [seconds], "theirs": [2.0]}
    facts = {"at": "2026-01-02 03:04", "busy": busy, "machine": FACTS}
    return {"name": name, **facts, "rows": [row]}


def test_a_result_joins_those_of_its_day(tmp_path: Path) -> None:
    run.keep(tmp_path, result())
    run.keep(tmp_path, result("search"))
    (path,) = tmp_path.iterdir()
    assert [one["name"] for one in json.loads(path.read_text())] == ["import", "search"]


def test_the_page_has_the_newest_result_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n<!-- import -->\nold\n<!-- /import -->\n\nWords.\n")
    for day, seconds in (("2026-01-01", 1.0), ("2026-01-02", 0.5)):
        path = tmp_path / "results" / f"{day}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps([result(seconds=seconds, busy=True)]))
    run.write_tables(tmp_path / "results", page)
    text = page.read_text()
    assert "| reading | 0.5000 s | 2.00 s | 4.00 (4.00–4.00) | 1 |" in text
    assert "A processor, 2 cores, 24 GB; **busy**" in text
    assert "old" not in text
    assert text.startswith("# Page\n") and text.endswith("\nWords.\n")
    run.write_tables(tmp_path / "results", page)
    assert page.read_text() == text


def test_a_result_without_a_place_on_the_page_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n")
    run.keep(tmp_path / "results", result("search"))
    with pytest.raises(SystemExit, match="no place for 'search'"):
        run.write_tables(tmp_path / "results", page)


def test_the_page_has_a_place_for_every_benchmark() -> None:
    text = run.PAGE.read_text(encoding="utf-8")
    for name in run.BENCHMARKS:
        assert f"<!-- {name} -->" in text and f"<!-- /{name} -->" in text


def test_a_machine_that_stays_busy_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.cpu_percent", lambda interval: 100.0)
    assert not run.wait_for_quiet(0.05)


def test_a_quiet_machine_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.cpu_percent", lambda interval: 1.0)
    monkeypatch.setattr(run, "QUIET_SECONDS", 0.0)
    assert run.wait_for_quiet(60.0)


def test_an_unknown_name_is_bad_usage() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/run.py", "nothing"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "no benchmark is called nothing" in done.stderr


@pytest.mark.slow  # Real jobs and processes, as small as they go.
@pytest.mark.parametrize("name", list(run.BENCHMARKS))
def test_every_benchmark_runs(name: str) -> None:
    found = run.measure(run.BENCHMARKS[name], smoke=True, wait=0)
    assert found["rows"]
    assert all(row["ours"] for row in found["rows"])
