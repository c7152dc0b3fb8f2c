"""A hub on loopback: as much of its HTTP as the ``datasets`` library and a push ask for, over a
folder.

``folder/OWNER/NAME`` holds a data set's files. What was asked is remembered, bodies by their bytes.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub(ThreadingHTTPServer):
    """``sent``: file -> bytes of it that were asked for. ``tokens``: those of pushes."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.asked: list[str] = []
        self.sent: dict[str, int] = {}
        self.tokens: set[str] = set()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = path.strip("/").split("/")
        if self.command == "POST" and (pushed := self._pushed(parts, body)) is not None:
            self.server.tokens.add(self.headers.get("authorization", ""))
            return self._json(pushed)
        if parts[:2] == ["api", "datasets"] and len(parts) >= 4:
            root = self.server.folder / parts[2] / parts[3]
            if root.is_dir():
                return self._about(root, "/".join(parts[2:4]), parts[4:], body)
        if parts[0] == "datasets" and len(parts) > 5 and parts[3] == "resolve":
            file = self.server.folder / parts[1] / parts[2] / "/".join(parts[5:])
            if file.is_file():
                return self._file(file, "/".join(parts[5:]))
        there = any((self.server.folder / "/".join(parts[at : at + 2])).is_dir() for at in (1, 2))
        code = "EntryNotFound" if there else "RepoNotFound"
        return self._send(404, b'{"error": "not found"}', {"X-Error-Code": code})

    def _pushed(self, parts: list[str], body: bytes) -> dict[str, Any] | None:
        """The answer to a step of a push; what a commit holds is written into the folder."""
        address = self.server.address
        if parts[:3] == ["api", "repos", "create"]:
            about = json.loads(body)
            name = f"{about['organization']}/{about['name']}"
            (self.server.folder / name).mkdir(parents=True)
            return {"url": f"{address}/{about['type']}s/{name}", "name": name}
        if parts[:1] == ["api"] and parts[-2:-1] == ["preupload"]:
            files = [one["path"] for one in json.loads(body)["files"]]
            return {
                "files": [
                    {"path": one, "uploadMode": "regular", "shouldIgnore": False} for one in files
                ]
            }
        if parts[:1] == ["api"] and parts[-2:-1] == ["commit"]:
            root = self.server.folder / "/".join(parts[2:4])
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    target = root / line["value"]["path"]
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(base64.b64decode(line["value"]["content"]))
            place = f"{address}/{'/'.join(parts[1:4])}"
            return {"commitUrl": f"{place}/commit/{SHA}", "commitOid": SHA, "hookOutput": ""}
        return {"errors": [], "warnings": []} if parts[:2] == ["api", "validate-yaml"] else None

    def _about(self, root: Path, repo: str, more: list[str], body: bytes) -> None:
        files = sorted(one for one in root.rglob("*") if one.is_file())
        names = [one.relative_to(root).as_posix() for one in files]
        kind = more[0] if more else "revision"
        if kind == "tree":
            below = "/".join(more[2:])
            return self._json(_tree(root, below, names))
        if kind == "paths-info":
            wanted = json.loads(body)["paths"]
            tree = [one for folder in _folders(names) for one in _tree(root, folder, names)]
            return self._json([one for one in tree if one["path"] in wanted])
        info = {"id": repo, "sha": SHA, "private": False, "tags": [], "downloads": 0}
        info |= {"siblings": [{"rfilename": name} for name in names], "lastModified": None}
        return self._json(info)

    def _file(self, file: Path, name: str) -> None:
        data = file.read_bytes()
        head = {"X-Repo-Commit": SHA, "ETag": f'"{_etag(file)}"', "Accept-Ranges": "bytes"}
        said = self.headers.get("range")
        if self.command == "HEAD" or not said:
            if self.command == "GET":
                self.server.sent[name] = self.server.sent.get(name, 0) + len(data)
            return self._send(200, data, head)
        first, _, last = said.removeprefix("bytes=").partition("-")
        end = int(last) + 1 if last else len(data)
        part = data[int(first) : end]
        self.server.sent[name] = self.server.sent.get(name, 0) + len(part)
        head["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        return self._send(206, part, head)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"content-type": "application/json"})

    def _send(self, status: int, data: bytes, head: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**head, "content-length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_said: Any) -> None:
        """Nothing on the test's output."""


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


def _folders(names: list[str]) -> set[str]:
    return {"", *(name.rpartition("/")[0] for name in names)}


def _tree(root: Path, below: str, names: list[str]) -> list[dict[str, Any]]:
    """The folders and files directly below one, as the hub lists them."""
    prefix = f"{below}/" if below else ""
    inside = [name for name in names if name.startswith(prefix)]
    folders = {
        prefix + name[len(prefix) :].split("/")[0] for name in inside if "/" in name[len(prefix) :]
    }
    found: list[dict[str, Any]] = [
        {"type": "directory", "path": one, "oid": SHA, "size": 0} for one in sorted(folders)
    ]
    for name in inside:
        if name not in folders and "/" not in name[len(prefix) :]:
            size = (root / name).stat().st_size
            found.append({"type": "file", "path": name, "oid": _etag(root / name), "size": size})
    return found


@contextmanager
def loopback_hub(folder: Path) -> Iterator[Hub]:
    hub = Hub(folder)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
