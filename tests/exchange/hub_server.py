"""A small server of this machine that speaks the protocol of the Hugging Face Hub.

It keeps repositories in memory: commits, each the files by path, and branches and tags that name
them.  Files that end with `.safetensors` go through git LFS, as on the Hub, and are served from
another host where there is one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse

TOKEN = "hf_secret"
READER = "hf_reader"
"""A token that may read what is private and write nothing."""
LFS = ".safetensors"


@dataclass
class Repository:
    """Commits by their ids, and what branches and tags mean."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Add a commit to a branch; its id."""
        text = json.dumps([len(self.commits), sorted(files)])
        sha = hashlib.sha1(text.encode()).hexdigest()
        self.commits[sha] = files
        self.refs[branch] = sha
        return sha

    def files(self, revision: str = "main") -> dict[str, bytes]:
        return self.commits[self.refs.get(revision, revision)]


@dataclass
class Request:
    method: str
    path: str
    token: str | None
    range: str | None = None


@dataclass
class Hub:
    """What the server holds, and how it misbehaves.

    serve: changes a file on its way out; None for a connection that is lost in the middle of it.
    refuse: the status that a request is answered with instead, by its method and path.
    renamed: where repositories went.
    other: the host that serves tensors, if it is another.
    stopped: connections that are still open give no more answers.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    lfs: dict[str, bytes] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    serve: Callable[[str, bytes], bytes | None] = lambda path, data: data
    refuse: Callable[[str, str], int | None] = lambda method, path: None
    renamed: dict[str, str] = field(default_factory=dict)
    other: Hub | None = None
    url: str = ""
    stopped: bool = False

    @property
    def tensors(self) -> str:
        """The address of the host of tensors."""
        return self.url if self.other is None else self.other.url

    @property
    def asked(self) -> list[str]:
        """The methods and paths of all requests."""
        return [f"{one.method} {one.path}" for one in self.requests]


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._answer(self._get)

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_PUT(self) -> None:
        self._answer(self._put)

    def _answer(self, answer: Callable[[str, bytes], None]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.hub.stopped:
            self.close_connection = True
            return None
        said = self.headers.get("Authorization")
        self.token = None if said is None else said.removeprefix("Bearer ")
        path = unquote(urlparse(self.path).path)
        self.hub.requests.append(Request(self.command, path, self.token, self.headers.get("Range")))
        status = self.hub.refuse(self.command, path)
        if status is not None:
            return self._send(status, {"error": "not now"}, Retry_After="7")
        for old, new in self.hub.renamed.items():
            if old in path:
                return self._send(307, b"", Location=self.path.replace(old, new))
        return answer(path, body)

    def _send(self, code: int, data: bytes | Any, **headers: str) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(code)
        headers.setdefault("Content_Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str, message: str = "") -> None:
        self._send(status, {"error": message or code}, X_Error_Code=code, X_Error_Message=message)

    def _repository(self, name: str) -> Repository | None:
        """The repository, if whoever asks may read it; else the answer is given."""
        if self.token not in (None, TOKEN, READER):
            self._send(
                401, {"error": "?"}, X_Error_Message="Invalid credentials in Authorization header"
            )
            return None
        found = self.hub.repositories.get(name)
        if found is None or (found.private and self.token is None):
            self._error(401 if self.token is None else 404, "RepoNotFound")
            return None
        return found

    def _put(self, path: str, body: bytes) -> None:
        oid = path.rpartition("/")[2]
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.lfs[oid] = body
        self._send(200, b"")

    def _post(self, path: str, body: bytes) -> None:
        if self.token != TOKEN:
            return self._send(401 if self.token != READER else 403, {"error": "who are you?"})
        if path == "/api/validate-yaml":
            return self._send(200, {"errors": [], "warnings": []})
        if path.endswith("/info/lfs/objects/batch"):
            return self._send(200, {"transfer": "basic", "objects": self._uploads(body)})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit|branch)/(.+)", path)
        if match is None:
            return self._send(404, {"error": path})
        name, what, revision = match.groups()
        repository = self._repository(name)
        if repository is None:
            return None
        if what == "branch":
            status = 409 if revision in repository.refs else 200
            repository.refs.setdefault(revision, repository.refs["main"])
            return self._send(status, {})
        if revision not in repository.refs:
            return self._error(404, "RevisionNotFound")
        if what == "preupload":
            modes = [
                {
                    "path": one["path"],
                    "uploadMode": "lfs" if one["path"].endswith(LFS) else "regular",
                    "shouldIgnore": False,
                }
                for one in json.loads(body)["files"]
            ]
            return self._send(200, {"files": modes})
        files = dict(repository.files(revision))
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.lfs[value["oid"]]
            elif line["key"] == "deletedFile":
                files.pop(value["path"], None)
        sha = repository.commit(files, revision)
        url = f"{self.hub.url}/{name}/commit/{sha}"
        return self._send(200, {"commitUrl": url, "commitOid": sha, "pullRequestUrl": None})

    def _create(self, asked: dict[str, Any]) -> None:
        name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
        new = name not in self.hub.repositories
        if new:
            private = asked.get("private") or asked.get("visibility") == "private"
            made = self.hub.repositories[name] = Repository(private=bool(private))
            made.commit({})
        self._send(200 if new else 409, {"url": f"{self.hub.url}/{name}", "id": name})

    def _uploads(self, body: bytes) -> list[dict[str, Any]]:
        """Where to send files that are not there."""
        return [
            {
                "oid": one["oid"],
                "size": one["size"],
                **(
                    {}
                    if one["oid"] in self.hub.lfs
                    else {"actions": {"upload": {"href": f"{self.hub.tensors}/lfs/{one['oid']}"}}}
                ),
            }
            for one in json.loads(body)["objects"]
        ]

    def _get(self, path: str, _: bytes) -> None:
        if path.startswith("/lfs/"):
            return self._file(path, self.hub.lfs[path.removeprefix("/lfs/")], {})
        match = re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+).*)?", path)
        if match is not None:
            return self._describe(match[1], match[2] or "revision", match[3] or "main")
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        repository = None if match is None else self._repository(match[1])
        if match is None or repository is None:
            return None if match is not None else self._error(404, "EntryNotFound")
        if repository.gated and self.token != TOKEN:
            return self._error(403, "GatedRepo", "Access to this model is restricted.")
        sha = repository.refs.get(match[2], match[2])
        if sha not in repository.commits:
            return self._error(404, "RevisionNotFound")
        data = repository.commits[sha].get(match[3])
        if data is None:
            return self._error(404, "EntryNotFound")
        digest = hashlib.sha256(data).hexdigest()
        headers = {"ETag": f'"{digest}"', "X_Repo_Commit": sha}
        if self.hub.other is not None and match[3].endswith(LFS):
            linked = {"X_Linked_Size": str(len(data)), "X_Linked_ETag": headers["ETag"]}
            there = f"{self.hub.tensors}/lfs/{digest}"
            return self._send(302, b"", Location=there, **headers, **linked)
        return self._file(match[3], data, headers)

    def _file(self, path: str, data: bytes, headers: dict[str, str]) -> None:
        if self.command == "HEAD":
            return self._send(200, b"", **headers, Content_Length=str(len(data)))
        served = self.hub.serve(path, data)
        if served is None:
            self._send(200, data[: len(data) // 2], **headers, Content_Length=str(len(data)))
            self.close_connection = True
            return None
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if begin is None:
            return self._send(200, served, **headers)
        first, last = int(begin[1]), len(served) - 1
        part = {"Content_Range": f"bytes {first}-{last}/{len(served)}"}
        return self._send(206, served[first:], **headers, **part)

    def _describe(self, name: str, what: str, revision: str) -> None:
        """What a commit is, or the list of its files."""
        repository = self._repository(name)
        if repository is None:
            return None
        sha = repository.refs.get(revision, revision)
        if sha not in repository.commits:
            return self._error(404, "RevisionNotFound")
        files = repository.commits[sha].items()
        if what == "tree":
            return self._send(200, [{"type": "file", "path": p, **_listed(d)} for p, d in files])
        with_sizes = "blobs" in parse_qs(urlparse(self.path).query)
        siblings = [{"rfilename": p, **(_listed(d) if with_sizes else {})} for p, d in files]
        answer = {"id": name, "modelId": name, "sha": sha, "siblings": siblings, "tags": []}
        return self._send(200, answer)


def _listed(data: bytes) -> dict[str, Any]:
    name = hashlib.sha1(data).hexdigest()
    return {"size": len(data), "oid": name, "blobId": name}


@contextmanager
def running(elsewhere: bool = False) -> Iterator[Hub]:
    """A server with no repositories; `elsewhere`, with a second one that serves the tensors."""
    hub = Hub()
    with _serving(hub):
        if not elsewhere:
            yield hub
            return
        hub.other = Hub(lfs=hub.lfs)
        with _serving(hub.other):
            yield hub


@contextmanager
def _serving(hub: Hub) -> Iterator[None]:
    handler = type("OneHub", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        hub.stopped = True
        server.shutdown()
        server.server_close()
