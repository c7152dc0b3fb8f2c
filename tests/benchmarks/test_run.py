"""benchmarks/run.py: what it keeps, what it writes, and that every benchmark runs at all."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks import quiet, run
from benchmarks.run import Benchmark

ROOT = Path(__file__).resolve().parents[2]
FACTS = {"processor": "A processor", "cores": 2, "memory_gb": 24}


def result(name: str = "import", busy: bool = False, seconds: float = 1.0) -> dict[str, Any]:
    row = {"name": "reading", "unit": "s", "better": "less", "ours": [seconds], "theirs": [2.0]}
    facts = {"command": "it.py", "at": "2026-01-02 03:04", "busy": busy, "machine": FACTS}
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
    assert not quiet.wait_for_quiet(0.05)


def test_a_quiet_machine_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.cpu_percent", lambda interval: 1.0)
    monkeypatch.setattr(quiet, "QUIET_SECONDS", 0.0)
    assert quiet.wait_for_quiet(60.0)


@pytest.mark.parametrize(("waited", "left"), [(2.0, 8.0), (0.0, 7.0)])
def test_what_others_use_is_what_the_benchmarks_own_processes_do_not(
    monkeypatch: pytest.MonkeyPatch, waited: float, left: float
) -> None:
    """Those that somebody waited for, or those that were seen, whichever are more."""
    machine, own = iter([100.0, 110.0]), iter([0.0, waited])
    clock = iter([0.0, 1.0])
    monkeypatch.setattr(quiet, "_machine", lambda: next(machine))
    monkeypatch.setattr(quiet, "_waited_for", lambda: next(own))
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    monkeypatch.setattr(quiet.Others, "_look", lambda self: None)
    with quiet.Others() as others:
        others._seen = {} if waited else {1: 2.5, 2: 0.5}
    monkeypatch.undo()
    assert others.cores == left


def small(name: str, script: str, minutes: float = 1.0) -> Benchmark:
    return Benchmark(name, script, "", minutes, (), ())


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with two benchmarks, of which the first fails."""
    folder = tmp_path / "benchmarks"
    folder.mkdir()
    row = {"name": "reading", "unit": "s", "better": "less", "ours": [1.0], "theirs": [2.0]}
    (folder / "fails.py").write_text("raise SystemExit(3)")
    (folder / "works.py").write_text(
        f"import json, sys\nopen(sys.argv[-1], 'w').write(json.dumps([{row!r}]))"
    )
    (folder / "stays.py").write_text("import time\ntime.sleep(600)")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "RESULTS", folder / "results")
    monkeypatch.setattr(run, "PAGE", tmp_path / "page.md")
    run.PAGE.write_text("<!-- works -->\n<!-- /works -->\n")
    all_of = {one: small(one, f"{one}.py") for one in ("fails", "works")}
    monkeypatch.setattr(run, "BENCHMARKS", all_of)
    return folder


def test_one_that_fails_does_not_stop_the_others(
    scripts: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "wait_for_quiet", lambda most: False)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    with pytest.raises(SystemExit, match="Failed: fails"):
        run.main()
    assert "fails failed: " in capfd.readouterr().err
    assert "**busy**" in run.PAGE.read_text() and "| reading |" in run.PAGE.read_text()


def finds(script: Path, *rows: dict[str, Any]) -> None:
    """Let a script write these rows."""
    text = f"import json, sys\nopen(sys.argv[-1], 'w').write(json.dumps({list(rows)!r}))"
    script.write_text(text)


def test_what_lacks_readings_is_kept_and_said(
    scripts: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rate = {"unit": "s", "better": "less", "theirs": [2.0]}
    nothing = {"name": "at once", "ours": [0.0], **rate}
    failed = {"name": "a part", "ours": [], **rate, "theirs": [], "note": "failed"}
    finds(scripts / "works.py", nothing, failed)
    finds(scripts / "fails.py", failed)
    monkeypatch.setattr(run, "wait_for_quiet", lambda most: False)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    with pytest.raises(SystemExit, match="Failed: fails, works"):
        run.main()
    said = capfd.readouterr().err
    assert "fails failed: it has no readings" in said
    assert "works has no reading of: a part" in said
    page = run.PAGE.read_text()
    assert "| at once | 0 s | 2.00 s |  | 1 |" in page and "| a part; failed |" in page


@pytest.mark.parametrize("error", [ZeroDivisionError("no"), psutil.NoSuchProcess(1)])
def test_what_measuring_raises_does_not_stop_the_others(
    scripts: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    error: Exception,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(run, "measure", fail)
    monkeypatch.setattr(sys, "argv", ["run.py"])
    with pytest.raises(SystemExit, match="Failed: fails, works"):
        run.main()
    assert f"works failed: {error}" in capfd.readouterr().err


def test_further_arguments_are_read_as_a_shell_would(
    scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "works", "--more", "--data 'a folder' --fast"])
    more = run.read_arguments().more
    assert more == ["--data", "a folder", "--fast"]
    found = run.measure(run.BENCHMARKS["works"], more, smoke=True, wait=0)
    assert found["command"] == "works.py --data 'a folder' --fast"


def test_one_whose_children_cannot_be_asked_for_is_ended(
    scripts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(pid: int) -> None:
        raise psutil.NoSuchProcess(pid)

    monkeypatch.setattr("psutil.Process", gone)
    with pytest.raises(subprocess.TimeoutExpired):
        run.run([sys.executable, str(scripts / "stays.py")], 0.05)


def test_one_that_takes_too_long_is_ended(scripts: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run.run([sys.executable, str(scripts / "stays.py")], 0.05)


def test_what_needs_a_gpu_is_left_out_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "gpus", tuple)
    asked = argparse.Namespace(names=[], smoke=False)
    assert "gpu" not in run.chosen(asked) and "search" in run.chosen(asked)
    asked.names = ["gpu"]
    assert run.chosen(asked) == ["gpu"], "who names it shall see it fail"
    monkeypatch.setattr(run, "gpus", lambda: ("0",))
    asked.names = []
    assert "gpu" in run.chosen(asked)


def test_an_unknown_name_is_bad_usage() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/run.py", "nothing"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "no benchmark is called nothing" in done.stderr


@pytest.mark.slow  # Real jobs and processes, as small as they go. The GPU's: test_gpu.py.
@pytest.mark.parametrize("name", [name for name in run.BENCHMARKS if name != "gpu"])
def test_every_benchmark_runs(name: str) -> None:
    found = run.measure(run.BENCHMARKS[name], smoke=True, wait=0)
    assert found["rows"]
    assert all(row["ours"] for row in found["rows"])
