"""A server on the loopback interface that speaks the part of the Hugging Face Hub's API that vecload's calls use."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

TOKEN = "hf_token_of_the_owner"
_LFS = (".safetensors", ".bin", ".npy", ".zip")


@dataclass
class Repo:
    """A repository: the files of each commit, and the commits of branches and tags."""

    private: bool = False
    gated: bool = False
    kind: str = "models"
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, files: dict[str, bytes], *, ref: str = "main", message: str = "") -> str:
        """Add a commit to a branch, and return its hash."""
        parent = self.refs.get(ref, "")
        state = repr((parent, len(self.commits), sorted((path, hash_of(data)) for path, data in files.items())))
        sha = hashlib.sha1(state.encode()).hexdigest()
        self.commits[sha] = files
        self.refs[ref] = sha
        self.messages.append(message)
        return sha

    @property
    def files(self) -> dict[str, bytes]:
        """Files of the main branch."""
        return self.commits[self.refs["main"]]


@dataclass
class Hub:
    """The repositories, the requests received, and failures to answer with, by a pattern of method and path.

    If `cut` is a number, connections break after this many bytes of a file.
    """

    url: str = ""
    repos: dict[str, Repo] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    cut: int | None = None

    def add(self, name: str, files: dict[str, bytes], **options: object) -> Repo:
        """Add a repository with one commit."""
        repo = self.repos[name] = Repo(**options)  # type: ignore[arg-type]
        repo.commit(files)
        return repo


def hash_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class _RefusalError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        self.hub = self.server.hub
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        line = f"{self.command} {path}"
        self.hub.requests.append(line)
        with suppress(BrokenPipeError, ConnectionResetError):
            try:
                for pattern, status in self.hub.failures.items():
                    if re.search(pattern, line):
                        raise _RefusalError(status, "", "planned failure")
                for pattern, answer in _ROUTES:
                    if found := pattern.fullmatch(line):
                        answer(self, *(unquote(part or "") for part in found.groups()))
                        return
                raise _RefusalError(404, "", f"the test server does not know {line}")
            except _RefusalError as refusal:
                headers = {"X-Error-Message": refusal.message, "X-Error-Code": refusal.code}
                self.reply({"error": refusal.message}, refusal.status, {k: v for k, v in headers.items() if v})

    do_GET = do_HEAD = do_POST = do_PUT = _serve  # noqa: N815

    def reply(self, value: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send_bytes(json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})})

    def send_bytes(self, data: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    @property
    def owner(self) -> bool:
        sent = self.headers.get("Authorization")
        if sent not in (None, f"Bearer {TOKEN}"):
            raise _RefusalError(401, "", "Invalid credentials in Authorization header")
        return sent is not None

    def repo(self, kind: str, name: str) -> Repo:
        owner = self.owner
        repo = self.hub.repos.get(name)
        if repo is None or repo.kind != (kind or "models") or (repo.private and not owner):
            raise _RefusalError(404 if owner else 401, "RepoNotFound", "Repository not found")
        return repo

    def commit(self, repo: Repo, revision: str) -> str:
        sha = repo.refs.get(revision or "main", revision)
        if sha not in repo.commits:
            raise _RefusalError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return sha

    def info(self, kind: str, name: str, revision: str) -> None:
        repo = self.repo(kind, name)
        sha = self.commit(repo, revision)
        siblings = [{"rfilename": path} for path in repo.commits[sha]]
        self.reply({"id": name, "sha": sha, "private": repo.private, "siblings": siblings, "tags": [], "downloads": 0})

    def tree(self, kind: str, name: str, revision: str) -> None:
        repo = self.repo(kind, name)
        entries = []
        for path, data in repo.commits[self.commit(repo, revision)].items():
            entry = {"type": "file", "path": path, "size": len(data), "oid": _blob_id(data)}
            if path.endswith(_LFS):
                entry["lfs"] = {"oid": hash_of(data), "size": len(data), "pointerSize": 130}
            entries.append(entry)
        self.reply(entries)

    def paths_info(self, kind: str, name: str, revision: str) -> None:
        self.tree(kind, name, revision)

    def resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        repo = self.repo(kind, name)
        if repo.gated and not self.owner:
            raise _RefusalError(401, "GatedRepo", "Access to this repository is restricted")
        sha = self.commit(repo, revision)
        data = repo.commits[sha].get(path)
        headers = {"X-Repo-Commit": sha}
        if data is None:
            self.reply({}, 404, {**headers, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
            return
        headers["ETag"] = f'"{hash_of(data) if path.endswith(_LFS) else _blob_id(data)}"'
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        if asked:
            headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        headers["Content-Length"] = str(len(data) - begin)
        end = None if self.hub.cut is None else begin + self.hub.cut
        self.send_bytes(data[begin:end], 206 if asked else 200, headers)
        self.close_connection = end is not None

    def create(self) -> None:
        if not self.owner:
            raise _RefusalError(401, "", "Invalid username or password.")
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        status = 409 if name in self.hub.repos else 200
        if status == 200:
            private = asked.get("visibility") == "private" or bool(asked.get("private"))  # the second: older versions
            self.hub.add(name, {".gitattributes": b""}, private=private)
        self.reply({"url": f"{self.hub.url}/{name}", "name": name, "id": name}, status)

    def whoami(self) -> None:
        if not self.owner:
            raise _RefusalError(401, "", "Invalid username or password.")
        self.reply({"name": "org", "type": "user", "orgs": []})

    def validate(self) -> None:
        self.reply({"errors": [], "warnings": []})

    def preupload(self, kind: str, name: str, revision: str) -> None:
        repo = self.writable(kind, name)
        old = repo.commits[self.commit(repo, revision)]
        self.reply({"files": [self.mode_of(file["path"], old) for file in json.loads(self.body)["files"]]})

    @staticmethod
    def mode_of(path: str, old: dict[str, bytes]) -> dict[str, object]:
        lfs = path.endswith(_LFS)
        oid = None if path not in old else hash_of(old[path]) if lfs else _blob_id(old[path])
        return {"path": path, "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False, "oid": oid}

    def writable(self, kind: str, name: str) -> Repo:
        repo = self.repo(kind, name)
        if not self.owner:
            raise _RefusalError(401, "", "Invalid username or password.")
        return repo

    def lfs_batch(self, name: str) -> None:
        self.writable("models", name)
        objects = []
        for one in json.loads(self.body)["objects"]:
            known = one["oid"] in self.hub.objects
            upload = {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}", "header": {}}}
            objects.append({**one, "authenticated": True, **({} if known else {"actions": upload})})
        self.reply({"transfer": "basic", "objects": objects})

    def lfs_put(self, oid: str) -> None:
        if hash_of(self.body) != oid:
            raise _RefusalError(400, "", "the content does not have this hash")
        self.hub.objects[oid] = self.body
        self.reply({})

    def add_commit(self, kind: str, name: str, revision: str) -> None:
        repo = self.writable(kind, name)
        parent = self.commit(repo, revision)
        files, message = dict(repo.commits[parent]), ""
        for line in self.body.splitlines():
            step = json.loads(line)
            value = step["value"]
            if step["key"] == "header":
                message = value["summary"]
                if value.get("parentCommit") not in (None, parent):
                    raise _RefusalError(412, "", "A commit has happened since. Please refresh and try again.")
            elif step["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif step["key"] == "lfsFile":
                files[value["path"]] = self.hub.objects[value["oid"]]
            elif step["key"] == "deletedFile":
                del files[value["path"]]
            else:
                raise _RefusalError(400, "", f"the test server does not know {step['key']}")
        request = "create_pr=1" in self.path
        sha = repo.commit(files, ref="refs/pr/1" if request else revision, message=message)
        made = {"success": True, "commitOid": sha, "commitUrl": f"{self.hub.url}/{name}/commit/{sha}"}
        if request:
            made["pullRequestUrl"] = f"{self.hub.url}/{name}/discussions/1"
        self.reply(made)

    def branch(self, kind: str, name: str, branch: str) -> None:
        repo = self.writable(kind, name)
        if branch in repo.refs:
            raise _RefusalError(409, "", "Reference already exists")
        repo.refs[branch] = repo.refs["main"]
        self.reply({})


def _blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


_REPO = r"/api/(models|datasets)/([^/]+/[^/]+)"
_ROUTES = [
    (re.compile(pattern), answer)
    for pattern, answer in (
        (rf"GET {_REPO}(?:/revision/([^/]+))?", _Handler.info),
        (rf"GET {_REPO}/tree/([^/]+)", _Handler.tree),
        (rf"POST {_REPO}/paths-info/([^/]+)", _Handler.paths_info),
        (r"(?:GET|HEAD) (?:/(datasets))?/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", _Handler.resolve),
        (r"POST /api/repos/create", _Handler.create),
        (r"GET /api/whoami-v2", _Handler.whoami),
        (r"POST /api/validate-yaml", _Handler.validate),
        (rf"POST {_REPO}/preupload/([^/]+)", _Handler.preupload),
        (r"POST /([^/]+/[^/]+)\.git/info/lfs/objects/batch", _Handler.lfs_batch),
        (r"PUT /lfs/(\w+)", _Handler.lfs_put),
        (rf"POST {_REPO}/commit/([^/]+)", _Handler.add_commit),
        (rf"POST {_REPO}/branch/([^/]+)", _Handler.branch),
    )
]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: Hub


@contextmanager
def serving_hub() -> Iterator[Hub]:
    """Serve an empty Hub."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = Hub(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def use_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Let huggingface_hub use this server, an empty cache and no token."""
    from huggingface_hub import constants

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "VECLOAD_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    values = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_STORED_TOKENS_PATH": str(home / "stored_tokens"),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_DISABLE_TELEMETRY": True,
        "HF_HUB_OFFLINE": False,
    }
    for name, value in values.items():
        monkeypatch.setattr(constants, name, value)
