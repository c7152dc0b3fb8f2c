"""``synthesize`` from the command line, in a job's process of its own."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workbench.synthesis.conftest import KEY
from tests.workbench.synthesis.server import serving
from workbench.cli.main import main
from workbench.cli.mine import tokens_words

pytestmark = pytest.mark.slow  # starts jobs' processes


def run(capsys: Any, home: Path, *argv: str, status: int = 0) -> Any:
    assert main(["--home", str(home), "--json", *argv]) == status
    return json.loads(capsys.readouterr().out)


def test_documents_get_queries(
    capsys: Any, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEA_KEY", KEY)
    corpus = tmp_path / "corpus.jsonl"
    rows = [{"id": f"d{n}", "text": f"leaf{n} steeped{n}"} for n in range(10)]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    run(capsys, home, "data", "add", str(corpus), "--name", "tea")
    with serving() as server:
        about = ["--endpoint", server.url, "--endpoint-model", "m", "--key-variable", "TEA_KEY"]
        asked = ["synthesize", "--dataset", "tea", *about, "--round-trip", "bm25"]

        def refuse(handler: Any, number: int) -> None:
            return handler.good() if number < 4 else handler.refuse(401, f"wrong key {KEY}")

        server.manner = refuse
        failed = run(capsys, home, *asked, "--concurrency", "1", status=1)["error"]
        assert failed["code"] == "endpoint-failed" and "TEA_KEY" in failed["message"]
        server.manner = lambda handler, _: handler.good()
        server.asked.clear()
        done = run(capsys, home, "jobs", "resume", failed["job"])
        assert len(server.asked) == 6
        result = done.get("result", done)
        assert (result["kept"], result["version"]) == (20, 2)
        assert set(server.keys) == {f"Bearer {KEY}"}
    assert run(capsys, home, "data", "show", "tea")["queries"] == 20
    found = [path for path in home.rglob("*") if path.is_file()]
    assert not [path for path in found if KEY.encode() in path.read_bytes()]


def test_bad_input_writes_nothing(capsys: Any, home: Path) -> None:
    wrong = ["--endpoint", "nowhere", "--endpoint-model", "m"]
    assert main(["--home", str(home), "synthesize", "--dataset", "tea", *wrong]) == 2
    assert "http://host:port/v1" in capsys.readouterr().err


def test_the_cost_is_said_as_far_as_it_is_known() -> None:
    whole = {"prompt": 1200, "completion": 80, "told": True}
    assert tokens_words(whole) == "It took 1,200 + 80 tokens (in + out)."
    assert "at least" in tokens_words({**whole, "told": False})
    assert "does not say" in tokens_words({"prompt": 0, "completion": 0, "told": False})
