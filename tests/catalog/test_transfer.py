"""Tests of downloads from a server that fails in all ways that servers fail."""

from __future__ import annotations

import errno
import hashlib
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.serving import Answer, Site, cut, raw, send, serving, stall, status, then, whole
from vecload.catalog.http import Policy, RetryError, request
from vecload.catalog.listing import Digest
from vecload.catalog.transfer import Receipt, fetch
from vecload.errors import DownloadError, FormatError

DATA = random.Random(0).randbytes(200_000)
SHA256 = Digest("sha256", hashlib.sha256(DATA).hexdigest())
QUICK = Policy(backoff=0.001, connect=5, read=5)


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(DATA)) as served:
        yield served


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a self-signed certificate for a server on the loopback interface."""
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    try:
        subprocess.run(
            [*command.split(), "-keyout", file, "-out", f"{file}.crt"], check=True, capture_output=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"openssl makes no certificate: {error}")
    file.write_bytes(file.read_bytes() + Path(f"{file}.crt").read_bytes())
    return file


@pytest.fixture
def tls(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Serve the site over https with a trusted certificate."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{certificate}.crt")
    with serving(Site(DATA), certificate=certificate) as served:
        yield served


def download(site: Site, target: Path, *, digest: Digest | None = SHA256, policy: Policy = QUICK) -> Receipt | None:
    return fetch([site.url], target, digest=digest, policy=policy)


def files_in(target: Path) -> set[str]:
    return {file.name for file in target.parent.iterdir() if not file.name.startswith(".")}


def test_fetch_writes_file_and_receipt(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "new" / "v.bin"
    assert download(site, target) == Receipt(site.url, len(DATA), SHA256.value, f"sha256 {SHA256.value}")
    assert target.read_bytes() == DATA
    assert files_in(target) == {"v.bin", "v.bin.json"}
    assert download(site, target) is None
    assert len(site.asked) == 1
    assert site.asked[0][1]["Accept-Encoding"] == "identity"
    assert site.asked[0][1]["User-Agent"].startswith("vecload/")


@pytest.mark.parametrize("at", [0, 1, 4095, 65536, 65537, len(DATA) - 1])
def test_fetch_resumes_after_a_broken_connection(site: Site, tmp_path: Path, at: int) -> None:
    site.plan.append(cut(at))
    download(site, tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == DATA
    assert site.from_bytes == ["", f"bytes={at}-" if at else ""]
    assert site.asked[1][1].get("If-Range") == ('"one"' if at else None)


def test_fetch_resumes_after_many_broken_connections(tmp_path: Path) -> None:
    data = DATA[:100]
    digest = Digest("sha256", hashlib.sha256(data).hexdigest())
    with serving(Site(data)) as site:
        for at in range(100):
            site.plan.append(cut(at))
            download(site, tmp_path / f"v{at}", digest=digest)
            assert (tmp_path / f"v{at}").read_bytes() == data
        site.always = cut(7)  # 15 times, each a step ahead
        download(site, tmp_path / "steps", digest=digest)
        assert (tmp_path / "steps").read_bytes() == data


@pytest.mark.parametrize("hash_known", [True, False])
@pytest.mark.parametrize("named", ["etag", "date", "weak", "nothing"])
def test_fetch_resumes_with_a_validator_or_a_known_hash(
    tls: Site, tmp_path: Path, named: str, hash_known: bool
) -> None:
    tls.etag = {"etag": '"one"', "weak": 'W/"one"'}.get(named, "")
    tls.modified = "Wed, 21 Oct 2015 07:28:00 GMT" if named == "date" else ""
    tls.plan.append(cut(1000))
    download(tls, tmp_path / "v", digest=SHA256 if hash_known else None)
    assert (tmp_path / "v").read_bytes() == DATA
    resumed = named in ("etag", "date") or hash_known  # without a validator, only the hash shows a change
    assert tls.from_bytes == ["", "bytes=1000-" if resumed else ""]


def test_fetch_starts_again_if_the_server_ignores_ranges(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    site.plan.extend([cut(1000), cut(500), cut(2000)])
    download(site, tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == DATA
    assert site.from_bytes == ["", "bytes=1000-", "bytes=500-", "bytes=2000-"]


def test_fetch_gives_up_if_it_makes_no_progress(site: Site, tmp_path: Path) -> None:
    site.ranges, site.always = False, cut(1000)
    with pytest.raises(DownloadError, match=r"ended at byte 1,000 of 200,000|connection broke"):
        download(site, tmp_path / "v")
    assert len(site.asked) == QUICK.tries
    assert not (tmp_path / "v").exists()
    assert (tmp_path / "v.part").read_bytes() == DATA[:1000]


def test_retries_are_reported_with_cause_and_number(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.plan.append(cut(1000))
    download(site, tmp_path / "v")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"trying again in 0 s (2 of {QUICK.tries})" in caplog.text
    assert "ended at byte 1,000 of 200,000" in caplog.text or "connection broke" in caplog.text


def change(site: Site) -> None:
    site.etag, site.data = '"two"', DATA[::-1]


@pytest.mark.parametrize("honest", [True, False])
def test_fetch_starts_again_if_the_file_has_changed(tls: Site, tmp_path: Path, honest: bool) -> None:
    """With `If-Range` the server sends the whole file; the ETag exposes a server that ignores it."""

    def ignoring(handler: object) -> None:
        del handler.headers["If-Range"]  # type: ignore[attr-defined]
        send()(handler)  # type: ignore[arg-type]

    tls.plan.extend([cut(1000), then(change, send() if honest else ignoring)])
    download(tls, tmp_path / "v", digest=None)
    assert (tmp_path / "v").read_bytes() == DATA[::-1]


def test_fetch_starts_again_if_a_resumed_file_has_the_wrong_hash(site: Site, tmp_path: Path) -> None:
    """The part belongs to another file, and there is no ETag: the hash is wrong, so the whole file is fetched."""
    site.etag = ""
    (tmp_path / "v.part").write_bytes(DATA[::-1][:500])
    (tmp_path / "v.part.json").write_text(f'{{"url": "{site.url}", "validator": ""}}')
    download(site, tmp_path / "v")
    assert site.from_bytes == ["bytes=500-", ""]
    assert (tmp_path / "v").read_bytes() == DATA


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"url": "http://127.0.0.1/other", "validator": "x"}', "\x00\xff"])
def test_fetch_ignores_a_part_of_unknown_origin(site: Site, tmp_path: Path, note: str) -> None:
    (tmp_path / "v.part").write_bytes(b"something")
    (tmp_path / "v.part.json").write_text(note, encoding="latin-1")
    download(site, tmp_path / "v")
    assert site.from_bytes == [""]
    assert (tmp_path / "v").read_bytes() == DATA


@pytest.mark.parametrize("more", [0, 5])
def test_fetch_handles_a_part_that_is_complete_or_too_long(site: Site, tmp_path: Path, more: int) -> None:
    (tmp_path / "v.part").write_bytes(DATA + b"x" * more)
    (tmp_path / "v.part.json").write_text(f'{{"url": "{site.url}", "validator": "\\"one\\""}}')
    download(site, tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == DATA
    assert len(site.asked) == (2 if more else 1)


@pytest.mark.parametrize(
    "answer",
    [
        status(500),
        status(503),
        status(408),
        raw(206, DATA[5:], Content_Range="bytes 5-199999/200000", Content_Length=str(len(DATA) - 5)),
        raw(200, DATA[:-1], Content_Length=str(len(DATA) + 9)),
        lambda handler: handler.connection.close(),
    ],
    ids=["500", "503", "408", "another range", "too long a length", "no answer"],
)
def test_fetch_retries_after_one_bad_response(site: Site, tmp_path: Path, answer: Answer) -> None:
    site.plan.append(answer)
    download(site, tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == DATA


def test_fetch_notices_a_wrong_content_length(site: Site, tmp_path: Path) -> None:
    site.always = raw(200, DATA, Content_Length="1000")
    with pytest.raises(FormatError, match="is not the catalog's file"):
        download(site, tmp_path / "v")
    with pytest.raises(DownloadError, match="has 1,000 bytes, but the catalog lists 200,000"):
        fetch([site.url], tmp_path / "w", digest=SHA256, size=len(DATA), policy=QUICK)


@pytest.mark.parametrize("given", ["seconds", "date"])
def test_fetch_waits_as_long_as_retry_after_says(site: Site, tmp_path: Path, given: str) -> None:
    when = "1" if given == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    site.plan.append(status(429, Retry_After=when))
    begin = time.monotonic()
    download(site, tmp_path / "v")
    assert 0.9 < time.monotonic() - begin < 10


def test_fetch_fails_if_retry_after_is_too_long(site: Site, tmp_path: Path) -> None:
    site.plan.append(status(503, Retry_After="7200"))
    with pytest.raises(DownloadError, match=r"503 Service Unavailable; the server asks to try again in 7,200 seconds"):
        download(site, tmp_path / "v")
    assert len(site.asked) == 1


def test_fetch_gives_up_after_the_maximum_number_of_tries(site: Site, tmp_path: Path) -> None:
    site.always = status(500)
    with pytest.raises(DownloadError, match="status 500 Internal Server Error, 6 times in a row; try again later"):
        download(site, tmp_path / "v")
    assert len(site.asked) == 6


def test_fetch_without_a_server_raises(tmp_path: Path) -> None:
    with serving(Site(DATA)) as gone:
        pass
    with pytest.raises(DownloadError, match="no answer"):
        download(gone, tmp_path / "v")


def test_fetch_accepts_a_slow_but_steady_server(site: Site, tmp_path: Path) -> None:
    site.plan.append(send(piece=10_000, pause=0.02))
    download(site, tmp_path / "v", policy=Policy(read=0.3))
    assert (tmp_path / "v").read_bytes() == DATA
    assert len(site.asked) == 1


def test_fetch_times_out_if_the_server_stalls(site: Site, tmp_path: Path) -> None:
    site.plan.append(stall(70_000, 1.0))
    download(site, tmp_path / "v", policy=Policy(read=0.1, backoff=0.001))
    assert (tmp_path / "v").read_bytes() == DATA
    assert len(site.asked) == 2
    assert site.from_bytes[1] in ("bytes=65536-", "bytes=70000-")


@pytest.mark.parametrize("code", [404, 403, 401, 410, 204])
def test_fetch_does_not_retry_permanent_errors(site: Site, tmp_path: Path, code: int) -> None:
    site.always = status(code)
    with pytest.raises(DownloadError, match=f"status {code}"):
        download(site, tmp_path / "v")
    assert len(site.asked) == 1
    assert files_in(tmp_path / "v") == set()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_fetch_follows_redirects(site: Site, tmp_path: Path, code: int) -> None:
    site.plan.append(status(code, Location="/elsewhere"))
    download(site, tmp_path / "v")
    assert [path for path, _ in site.asked] == ["/file", "/elsewhere"]


def test_fetch_refuses_a_redirect_loop(site: Site, tmp_path: Path) -> None:
    site.always = status(302, Location="/file")
    with pytest.raises(DownloadError, match="redirected more than 10 times"):
        download(site, tmp_path / "v")


@pytest.mark.parametrize("where", ["https://127.0.0.1:1/file", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_fetch_refuses_a_redirect_to_another_scheme(site: Site, tmp_path: Path, where: str) -> None:
    site.always = status(302, Location=where)
    with pytest.raises(DownloadError, match="which is not http: not followed"):
        download(site, tmp_path / "v")
    assert len(site.asked) == 1


def test_fetch_refuses_a_redirect_from_https_to_http(tls: Site, site: Site, tmp_path: Path) -> None:
    tls.always = status(302, Location=site.url)
    with pytest.raises(DownloadError, match="which is not https: not followed"):
        download(tls, tmp_path / "v")
    assert site.asked == []


def test_fetch_allows_http_only_with_a_known_hash(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="only https is trusted, and no hash of the file is known"):
        download(site, tmp_path / "v", digest=None)
    with pytest.raises(DownloadError, match=r"only https is trusted$"):
        fetch(["file:///etc/passwd"], tmp_path / "v", digest=SHA256)
    assert site.asked == []


def test_fetch_refuses_an_unknown_certificate(certificate: Path, tmp_path: Path) -> None:
    with (
        serving(Site(DATA), certificate=certificate) as site,
        pytest.raises(DownloadError, match="certificate cannot be verified"),
    ):
        download(site, tmp_path / "v")


def test_fetch_sends_a_token_to_its_host_only(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vecload.catalog import http

    monkeypatch.setenv("HF_TOKEN", "secret")
    assert http.authorization("https://huggingface.co/x") == {"Authorization": "Bearer secret"}
    for other in (
        "http://huggingface.co/x",
        "https://huggingface.co.evil.org/",
        "https://cdn.huggingface.co/",
        site.url,
    ):
        assert http.authorization(other) == {}
    download(site, tmp_path / "v")
    assert "Authorization" not in site.asked[0][1]


def test_fetch_uses_the_proxy_of_the_environment(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", site.url)
    fetch(["http://vectors.invalid/file"], tmp_path / "v", digest=SHA256, policy=QUICK)
    assert [path for path, _ in site.asked] == ["http://vectors.invalid/file"]


def test_fetch_tries_all_addresses(site: Site, tmp_path: Path) -> None:
    site.plan.extend([status(404), whole(b"<html>moved</html>")])
    urls = [site.url, f"{site.url}?2", f"{site.url}?3"]
    receipt = fetch(urls, tmp_path / "v", digest=SHA256, policy=QUICK)
    assert receipt is not None
    assert receipt.url == urls[2]
    site.always = status(404)
    with pytest.raises(DownloadError, match=r"404 Not Found \| .*\?2: status 404"):
        fetch(urls[:2], tmp_path / "w", digest=SHA256, policy=QUICK)


def test_fetch_keeps_a_wrong_file_as_rejected(site: Site, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    site.always = whole(DATA[::-1])
    with pytest.raises(FormatError) as caught:
        download(site, tmp_path / "v")
    assert files_in(tmp_path / "v") == {"mine", "v.rejected"}
    assert (tmp_path / "v.rejected").read_bytes() == DATA[::-1]
    message = str(caught.value)
    found = hashlib.sha256(DATA[::-1]).hexdigest()
    for part in ("v.rejected", site.url, SHA256.value, found, "your files are unchanged"):
        assert part in message
    site.always = None
    download(site, tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == DATA


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><p>not found", b'\n<?xml version="1.0"?><Error>', b"plain", b""])
def test_fetch_refuses_an_error_page(tls: Site, tmp_path: Path, body: bytes) -> None:
    tls.always = whole(body)
    with pytest.raises(FormatError, match="not a file of vectors"):
        fetch([tls.url], tmp_path / "v", magic=b"PK" if body == b"plain" else b"", policy=QUICK)


@pytest.mark.parametrize("page", [{"Content_Type": "text/html; charset=utf-8"}, {}], ids=["named", "of another length"])
def test_fetch_keeps_received_bytes_if_a_login_page_is_sent(site: Site, tmp_path: Path, page: dict[str, str]) -> None:
    site.plan.extend([cut(150_000), whole(b"<html>log in", **page)])
    with pytest.raises(DownloadError, match=r"does this network require a login|has 12 bytes, but the catalog lists"):
        fetch([site.url], tmp_path / "v", digest=SHA256, size=len(DATA), policy=QUICK)
    assert (tmp_path / "v.part").stat().st_size == 150_000
    download(site, tmp_path / "v")
    assert site.from_bytes[2] == "bytes=150000-"
    assert (tmp_path / "v").read_bytes() == DATA


def test_fetch_verifies_md5(site: Site, tmp_path: Path) -> None:
    download(site, tmp_path / "v", digest=Digest("md5", hashlib.md5(DATA).hexdigest()))
    with pytest.raises(FormatError, match="found md5"):
        download(site, tmp_path / "w", digest=Digest("md5", "0" * 32))


def test_fetch_without_a_length_needs_a_hash(tls: Site, tmp_path: Path) -> None:
    """Without a length, the end of a connection may be a break: only a hash shows it."""
    tls.always = raw(200, DATA)
    with pytest.raises(DownloadError, match="the length of the file is unknown"):
        download(tls, tmp_path / "v", digest=None)
    download(tls, tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == DATA
    chunks = b"%x\r\n%b\r\n" % (len(DATA), DATA)
    tls.plan.extend(
        [raw(200, chunks, Transfer_Encoding="chunked"), raw(200, chunks + b"0\r\n\r\n", Transfer_Encoding="chunked")]
    )
    download(tls, tmp_path / "w", digest=None)
    assert (tmp_path / "w").read_bytes() == DATA
    assert len(tls.asked) == 4


RUN = """
import sys
from pathlib import Path
from vecload.catalog.listing import Digest
from vecload.catalog.http import Policy
from vecload.catalog.transfer import fetch
url, target, sha256 = sys.argv[1:]
print("ready", flush=True)
came = fetch([url], Path(target), digest=Digest("sha256", sha256), policy=Policy(backoff=0.01))
print("fetched" if came else "there")
"""


def started(site: Site, target: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", RUN, site.url, target, SHA256.value], stdout=subprocess.PIPE)


KILLS = """
import os, signal, sys, time
from pathlib import Path
import filelock, platformdirs, requests
from vecload.catalog.listing import Digest
from vecload.catalog.http import Policy
from vecload.catalog.transfer import fetch
url, target, sha256 = sys.argv[1:]
for moment in sys.stdin:
    child = os.fork()
    if not child:
        fetch([url], Path(target), digest=Digest("sha256", sha256), policy=Policy(backoff=0.01))
        os._exit(0)
    time.sleep(float(moment))
    os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_fetch_completes_after_processes_were_killed_at_random(site: Site, tmp_path: Path) -> None:
    """Kill 50 processes while they fetch; each one continues the part of the others, and the file is correct."""
    moments = random.Random(4)
    site.always = send(piece=10_000, pause=0.005)  # about 0.1 s for all of it
    target = tmp_path / "v"
    command = [sys.executable, "-c", KILLS, site.url, target, SHA256.value]
    kills = files = 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as killer:
        assert killer.stdin is not None
        assert killer.stdout is not None
        while kills < 50 or not target.exists():
            killer.stdin.write(f"{moments.uniform(0.0, 0.12)}\n")
            ended = int(killer.stdout.readline())
            assert ended in (0, -signal.SIGKILL)
            kills += ended != 0
            if target.exists():
                assert target.read_bytes() == DATA
                files += 1
                if kills < 50:
                    target.unlink()
        killer.stdin.close()
    assert files > 3
    assert any(site.from_bytes)


def test_two_processes_fetch_a_file_once(site: Site, tmp_path: Path) -> None:
    site.always = send(piece=20_000, pause=0.1)
    both = [started(site, tmp_path / "v") for _ in range(2)]
    said = {process.communicate(timeout=60)[0] for process in both}
    assert said == {b"ready\nfetched\n", b"ready\nthere\n"}
    assert len(site.asked) == 1
    assert (tmp_path / "v").read_bytes() == DATA


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_ctrl_c_keeps_the_part(site: Site, tmp_path: Path) -> None:
    site.plan.append(send(piece=70_000, pause=0.4))
    process = started(site, tmp_path / "v")
    assert process.stdout is not None
    process.stdout.readline()
    deadline = time.monotonic() + 30
    while not (tmp_path / "v.part").exists() or (tmp_path / "v.part").stat().st_size < 65_536:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    process.wait()
    process.stdout.close()
    assert not (tmp_path / "v").exists()
    download(site, tmp_path / "v")
    assert site.from_bytes[1].startswith("bytes=")
    assert (tmp_path / "v").read_bytes() == DATA


def test_full_disk_is_reported_before_the_download(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5))
    with pytest.raises(
        OSError, match="200,000 bytes are needed and 5 are free: free some space or set VECLOAD_CACHE"
    ) as caught:
        download(site, tmp_path / "v")
    assert caught.value.errno == errno.ENOSPC


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 128 KB, if the test may do so."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", disk]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount: {error}")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_full_disk_keeps_the_received_bytes(site: Site, small_disk: Path) -> None:
    """Without an announced length, only writing fails; the part is kept and continued when there is space."""
    site.always = raw(200, DATA, ETag='"one"')
    with pytest.raises(OSError, match="the disk is full: the rest cannot be written") as caught:
        download(site, small_disk / "v")
    assert caught.value.errno == errno.ENOSPC
    part = (small_disk / "v.part").read_bytes()
    assert part
    assert part == DATA[: len(part)]
    assert not (small_disk / "v").exists()
    assert os.statvfs(small_disk).f_bavail == 0


def test_planned_responses_of_the_test_server_reach_the_client(tmp_path: Path) -> None:
    """Check the test server itself: the planned responses reach the client."""
    with serving(Site(b"x", plan=deque([status(418)]))) as site, pytest.raises(DownloadError, match="418"):
        fetch([site.url], tmp_path / "v", digest=SHA256)


def test_response_that_arrives_during_the_timeout_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = threading.Event()

    class Queue(queue.SimpleQueue):  # type: ignore[type-arg]
        def get(self, *, timeout: float) -> object:
            arrived.wait(5)
            time.sleep(0.05)  # the thread has put the response, and has seen that it is not late
            raise queue.Empty

    arrived = threading.Event()
    monkeypatch.setattr("vecload.catalog.http.queue.SimpleQueue", Queue)
    response = SimpleNamespace(close=closed.set, status_code=200, headers={})
    session = SimpleNamespace(get=lambda *_, **__: (arrived.set(), response)[1])
    with pytest.raises(RetryError, match="no answer within"):
        request(session, "https://127.0.0.1/v", {}, hash_known=True, policy=Policy())
    assert closed.is_set()
