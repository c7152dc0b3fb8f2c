"""app.py as a real process: its options, its port, its stop, and what it never loads."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from app import main, read_options
from tests import warm
from tests.ui.serving import Run, wait_until
from ui.web.launch import address, read_credentials, read_prefix
from workbench.errors import BadInput
from workbench.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]


class App:
    """A started app.py and what it has printed so far."""

    def __init__(self, output: Path, *options: str, **environment: str) -> None:
        self.output = output
        self.process = warm.popen(
            [sys.executable, "-m", "app", *options],
            cwd=ROOT,
            stdout=output.open("w"),
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )

    def text(self) -> str:
        return self.output.read_text()

    def url(self) -> str:
        """Wait for the address."""
        wait_until(lambda: self._serves() or self.process.poll() is not None, "the address")
        assert self._serves(), self.text()
        return self.text().split("Retrieval Workbench is at ")[1].split()[0]

    def _serves(self) -> bool:
        return "The workspace is" in self.text()

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(300)


@contextmanager
def started(folder: Path, *options: str, **environment: str) -> Iterator[App]:
    app = App(folder / "output.txt", "--home", str(folder / "home"), *options, **environment)
    try:
        yield app
    finally:
        if app.process.poll() is None:
            app.process.kill()
            app.process.wait()


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=300) as answer:
        body: bytes = answer.read()
    return body


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


# Starts the whole app, once: several seconds of imports.
@pytest.mark.slow
@pytest.mark.usefixtures("cold_processes")
def test_it_serves_without_torch_and_ctrl_c_says_which_jobs_go_on(tmp_path: Path) -> None:
    with started(tmp_path, WORKBENCH_AUTH="anna:correct horse") as app:
        url = app.url()
        assert b"gradio" in get(url).lower()
        assert json.loads(get(url + "healthz"))["status"] == "ok"
        models = tmp_path / "home" / "models"
        wait_until(lambda: list(models.rglob("model.safetensors")), "the packaged model")
        assert loaded_libraries(app.process.pid) & {"libtorch", "libtorch_cpu", "faiss"} == set()
        workspace = Workspace.open(tmp_path / "home")
        run = Run(workspace, name="tea", id="tearun0001")
        run.start()
        assert app.stop(signal.SIGINT) == 0
        workspace.close()
        said = app.text()
        assert "1 job still running: tea (tearun0001). They continue without this page" in said
        assert "Traceback" not in said
        log = (tmp_path / "home" / "logs" / "app.log").read_text()
        assert f"serving at {url}" in log
        assert "correct horse" not in said + log


# Starts the whole app, once: several seconds of imports.
@pytest.mark.slow
def test_behind_a_login_and_a_prefix_and_stopped_by_sigterm(tmp_path: Path) -> None:
    login = tmp_path / "login"
    login.write_text("anna:correct horse\n")
    options = ("--auth", str(login), "--root-path", "/me", "--host", "0.0.0.0")
    with started(tmp_path, *options) as app:
        url = app.url()
        assert url.endswith("/me/")
        form = get(url + "login").decode()
        assert 'action="/me/login' in form
        with pytest.raises(urllib.error.HTTPError, match="401"):
            get(url + "api/changes")
        assert "correct horse" not in " ".join(psutil.Process(app.process.pid).cmdline())
        assert app.stop(signal.SIGTERM) == 0
        assert "Stopping." in app.text()


def loaded_libraries(pid: int) -> set[str]:
    """Names of the native libraries a process has mapped, up to the first dot."""
    return {Path(one.path).name.split(".")[0] for one in psutil.Process(pid).memory_maps()}


def fails(capfd: pytest.CaptureFixture[str], *options: str) -> str:
    """What a start with these options says before it ends with 2."""
    assert main(list(options)) == 2
    return capfd.readouterr().err


def test_a_taken_port_that_was_asked_for_is_an_error(
    capfd: pytest.CaptureFixture[str], taken: int, home: Path
) -> None:
    said = fails(capfd, "--home", str(home), "--port", str(taken))
    assert f"Port {taken} is taken" in said
    assert not home.exists(), "nothing is written before the port is there"


def test_a_taken_port_by_default_gives_the_next(
    capfd: pytest.CaptureFixture[str], taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ui.web import launch

    monkeypatch.setattr(launch, "FIRST_PORT", taken)
    with launch.listen("127.0.0.1", None) as listening:
        port = launch.port_of(listening)
    assert port > taken
    assert f"Port {taken} is taken; using {port} instead." in capfd.readouterr().out


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "my-laptop"])
def test_other_machines_are_let_in_with_a_login_only(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.delenv("WORKBENCH_AUTH", raising=False)
    assert "--auth is required" in fails(capfd, "--host", host)
    assert "needs user:password" in fails(capfd, "--host", host, "--auth")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--auth", "/no/such/file"], "cannot be read"),
        (["--host", "203.0.113.9", "--auth"], "Cannot listen on 203.0.113.9"),
        (["--root-path", "prefix"], "--root-path must look like /prefix"),
        (["--root-path", "//evil.example"], "--root-path must look like /prefix"),
        (["--root-path", '/"><script>'], "--root-path must look like /prefix"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    said: str,
) -> None:
    monkeypatch.setenv("WORKBENCH_AUTH", "anna:correct horse")
    assert said in fails(capfd, *options)


@pytest.mark.parametrize("password", ["1", "1234567", " 12345 "])
def test_a_short_password_is_refused_at_the_start(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    password: str,
) -> None:
    """From the environment and from a file alike; it is not repeated."""
    monkeypatch.setenv("WORKBENCH_AUTH", f"anna:{password}")
    (tmp_path / "login").write_text(f"anna:{password}\n")
    for options in (["--auth"], ["--auth", str(tmp_path / "login")]):
        said = fails(capfd, *options, "--home", str(tmp_path / "home"))
        assert "a password of at least 8 characters" in said
        assert f":{password}" not in said
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--endpoint-key", "OPENAI_API_KEY"], "NAME=ORIGIN"),
        (["--endpoint-key", "OPENAI_API_KEY=https://api.openai.com/v1"], "NAME=ORIGIN"),
        (["--trusted-proxy", "my-proxy"], "is no address of a proxy"),
    ],
)
def test_who_may_be_trusted_is_read_at_the_start(
    capfd: pytest.CaptureFixture[str], home: Path, options: list[str], said: str
) -> None:
    assert said in fails(capfd, *options, "--home", str(home))
    assert not home.exists()


@pytest.mark.parametrize("options", [["--port", "0"], ["--port", "x"], ["--nonsense"]])
def test_wrong_options_end_with_2(options: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_options(options)
    assert ended.value.code == 2


def test_the_login_comes_from_the_environment_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WORKBENCH_AUTH", "anna:from environment")
    assert read_credentials(None) is None
    found = read_credentials("")
    assert found is not None
    assert found.match("anna", "from environment")
    path = tmp_path / "login"
    path.write_text("ben:from file\n")
    found = read_credentials(str(path))
    assert found is not None
    assert found.match("ben", "from file")
    path.write_bytes(b"\xff\xfe:")
    with pytest.raises(BadInput, match="cannot be read"):
        read_credentials(str(path))


def test_addresses_are_ones_that_a_browser_takes() -> None:
    assert address("127.0.0.1", 7860, "") == "http://127.0.0.1:7860/"
    assert address("0.0.0.0", 7861, "/me") == "http://127.0.0.1:7861/me/"
    assert address("::1", 7860, "") == "http://[::1]:7860/"
    assert read_prefix("/user/me/") == "/user/me"
    assert read_prefix("/") == ""
