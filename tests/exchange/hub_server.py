"""A small server of this machine that speaks the protocol of the Hugging Face Hub.

It keeps repositories in memory: each a list of commits, a commit the files by path.  Files that end
with `.safetensors` go through git LFS, as on the Hub.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse

TOKEN = "hf_secret"


class Hub:
    """What the server holds, and how it misbehaves: `serve` may change a file on its way out."""

    def __init__(self) -> None:
        self.repositories: dict[str, list[tuple[str, dict[str, bytes]]]] = {}
        self.lfs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.serve: Callable[[str, bytes], bytes | None] = lambda path, data: data
        self.url = ""

    def commit(self, name: str, files: dict[str, bytes]) -> str:
        """Add a commit; its id."""
        text = json.dumps([len(self.repositories[name]), sorted(files)])
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.repositories[name].append((sha, files))
        return sha

    def files(self, name: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        commits = self.repositories.get(name, [])
        if revision == "main":
            return commits[-1] if commits else None
        return next((c for c in commits if c[0] == revision), None)


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _send(self, code: int, data: bytes | Any, **headers: str) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(code)
        headers.setdefault("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _missing(self, code: str) -> None:
        self._send(404, {"error": code}, X_Error_Code=code)

    def do_POST(self) -> None:
        path, body = urlparse(self.path).path, self._body()
        self.hub.requests.append(f"POST {path}")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, {"error": "who are you?"})
        elif path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            new = name not in self.hub.repositories
            if new:
                self.hub.repositories[name] = []
                self.hub.commit(name, {})
            self._send(200 if new else 409, {"url": f"{self.hub.url}/{name}", "id": name})
        elif path == "/api/validate-yaml":
            self._send(200, {"errors": [], "warnings": []})
        elif path.endswith("/info/lfs/objects/batch"):
            objects = [
                {
                    "oid": one["oid"],
                    "size": one["size"],
                    "actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}},
                }
                for one in json.loads(body)["objects"]
            ]
            self._send(200, {"transfer": "basic", "objects": objects})
        elif "/preupload/" in path:
            modes = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for one in json.loads(body)["files"]
            ]
            self._send(200, {"files": modes})
        elif "/commit/" in path:
            name = path.removeprefix("/api/models/").partition("/commit/")[0]
            files = dict(self.hub.repositories[name][-1][1])
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    files[value["path"]] = self.hub.lfs[value["oid"]]
                elif line["key"] == "deletedFile":
                    files.pop(value["path"], None)
            sha = self.hub.commit(name, files)
            url = f"{self.hub.url}/{name}/commit/{sha}"
            self._send(200, {"commitUrl": url, "commitOid": sha, "pullRequestUrl": None})
        else:
            self._send(404, {"error": path})

    def do_PUT(self) -> None:
        oid, body = self.path.rpartition("/")[2], self._body()
        self.hub.requests.append("PUT lfs")
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.lfs[oid] = body
        self._send(200, b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlparse(self.path).path)
        self.hub.requests.append(f"{self.command} {path}")
        if path.startswith("/api/models/"):
            rest = path.removeprefix("/api/models/")
            for word in ("revision", "tree"):
                name, found, revision = rest.partition(f"/{word}/")
                if found:
                    break
            else:
                name, revision, word = rest, "main", "revision"
            if name not in self.hub.repositories:
                return self._missing("RepoNotFound")
            commit = self.hub.files(name, revision.partition("/")[0])
            if commit is None:
                return self._missing("RevisionNotFound")
            sha, files = commit
            if word == "tree":
                listed = [
                    {"type": "file", "path": p, "size": len(d), "oid": hashlib.sha1(d).hexdigest()}
                    for p, d in files.items()
                ]
                return self._send(200, listed)
            siblings = [{"rfilename": p} for p in files]
            return self._send(
                200, {"id": name, "modelId": name, "sha": sha, "siblings": siblings, "tags": []}
            )
        name, _, rest = path.strip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        commit = self.hub.files(name, revision)
        if commit is None:
            return self._missing("RevisionNotFound" if self.hub.repositories else "RepoNotFound")
        sha, files = commit
        if file not in files:
            return self._missing("EntryNotFound")
        data = files[file]
        served = self.hub.serve(file, data) if self.command == "GET" else data
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        headers = {"ETag": etag, "X_Repo_Commit": sha, "Content_Length": str(len(data))}
        if served is None:  # the connection is lost in the middle
            self._send(200, data[: len(data) // 2], **headers)
            self.close_connection = True
            return None
        headers["Content_Length"] = str(len(served))
        return self._send(200, served, **headers)


@contextmanager
def running() -> Iterator[Hub]:
    """A server with no repositories."""
    hub = Hub()
    handler = type("OneHub", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
