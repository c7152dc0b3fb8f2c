"""A hub model is fetched from HF_ENDPOINT, found again without network, or missed in a sentence.

The hub here is a server on loopback; each fetch is a process of its own, because the hub's client
reads its environment when it is imported.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

FILES = {
    "config.json": b'{"model_type": "bert"}',
    "model.safetensors": b"weights",
    "pytorch_model.bin": b"a pickle",
    "onnx/model.onnx": b"another format",
}
COMMIT = "a" * 40
_FETCH = """
import sys
from workbench.errors import WorkbenchError
from workbench.models.locate import fetch
try:
    print(sorted(path.name for path in fetch(sys.argv[1]).iterdir()))
except WorkbenchError as error:
    print(type(error).__name__, error)
assert 'torch' not in sys.modules
"""


class Hub(BaseHTTPRequestHandler):
    """The few answers that downloading one repository takes."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None: ...

    def _answer(self) -> None:
        path = self.path.split("?")[0]
        if path.startswith("/api/models/owner/tiny"):
            self._json(self._tree() if "/tree/" in path else self._about())
        elif path.startswith("/owner/tiny/resolve/") and path.split("/", 5)[5] in FILES:
            body = FILES[path.split("/", 5)[5]]
            digest = hashlib.sha1(body).hexdigest()
            self._send(200, body, {"ETag": f'"{digest}"', "X-Repo-Commit": COMMIT})
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def _tree(self) -> object:
        return [
            {"type": "file", "path": name, "size": len(body), "oid": "0" * 40}
            for name, body in FILES.items()
        ]

    def _about(self) -> object:
        files = [{"rfilename": name} for name in FILES]
        return {"id": "owner/tiny", "modelId": "owner/tiny", "sha": COMMIT, "siblings": files}

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(name: str, cache: Path, **environment: str) -> str:
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("HF_")
        and key != "TRANSFORMERS_OFFLINE"
        and "proxy" not in key.lower()
    }
    done = subprocess.run(
        [sys.executable, "-c", _FETCH, name],
        env={**inherited, "HF_HOME": str(cache), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# Four processes that import the hub's client.
@pytest.mark.slow
def test_a_hub_model_with_and_without_the_hub(hub: str, tmp_path: Path) -> None:
    needed = "['config.json', 'model.safetensors']"
    assert fetch("owner/tiny", tmp_path, HF_ENDPOINT=hub) == needed
    assert "ModelNotFound The Hub has no model" in fetch("owner/no", tmp_path, HF_ENDPOINT=hub)
    # Nobody listens on port 9: what is in the cache is still found, the rest is a sentence.
    away = "http://127.0.0.1:9"
    assert fetch("owner/tiny", tmp_path, HF_ENDPOINT=away) == needed
    assert fetch("owner/tiny", tmp_path, HF_HUB_OFFLINE="1") == needed
    missing = fetch("owner/other", tmp_path, HF_ENDPOINT=away)
    assert "not on this machine, and the Hub cannot be reached" in missing
