"""``serve``: models for other programs, in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from tests import warm
from tests.ui.serving import wait_until
from tests.workbench.cli.test_main import ROOT, workbench

KEY = "a-key-for-tests-0123456789"


@pytest.mark.slow  # Loads MiniLM's real weights in a search process.
def test_models_are_served_until_ctrl_c(home: Path, tmp_path: Path) -> None:
    said = tmp_path / "said.txt"
    command = [sys.executable, "-m", "workbench", "--home", str(home), "serve"]
    with said.open("w") as errors:
        process = warm.popen(
            [*command, "all-MiniLM-L6-v2", "--port", "0", "--json"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={k: v for k, v in os.environ.items() if k != "WORKBENCH_API_KEY"},
        )
    try:
        wait_until(lambda: "The key" in said.read_text() or process.poll() is not None, "the key")
        text = said.read_text()
        url = text.split("Serving at ")[1].split()[0]
        key = re.findall(r"now: (\S+)", text)[0]
        client = openai.OpenAI(base_url=url, api_key=key, max_retries=0)
        answer = client.embeddings.create(model="all-MiniLM-L6-v2", input=["a", "b"])
        assert [len(one.embedding) for one in answer.data] == [384, 384]
        with pytest.raises(openai.AuthenticationError, match="not right"):
            client.with_options(api_key=f"{key}x").models.list()
        process.send_signal(signal.SIGINT)
        assert process.wait(300) == 0
        assert json.loads(process.stdout.read())["served"] == ["all-MiniLM-L6-v2"]
        assert said.read_text().count(key) == 1
        assert "Traceback" not in said.read_text()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_cannot_be_served_is_a_sentence(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = workbench(home, "serve", "no-such-model")
    assert done.returncode == 2
    assert "There is no model named 'no-such-model'" in done.stderr
    twice = workbench(home, "serve", "all-MiniLM-L6-v2", "all-MiniLM-L6-v2")
    assert twice.returncode == 2
    assert "Two models" in twice.stderr
    monkeypatch.setenv("WORKBENCH_API_KEY", "short")
    assert "will not do" in workbench(home, "serve", "all-MiniLM-L6-v2").stderr
    monkeypatch.setenv("WORKBENCH_API_KEY", KEY)
    taken = workbench(home, "serve", "all-MiniLM-L6-v2", "--port", "99999")
    assert taken.returncode == 2
    assert "Cannot listen" in taken.stderr
