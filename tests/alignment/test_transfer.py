"""Downloads from a server that does all that servers do."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.serving import Answer, Site, cut, raw, send, serving, stall, status, then, whole
from vecload.catalog.http import Policy
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
    """Of a server on loopback, signed by itself."""
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
    """The site by https, trusted."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{certificate}.crt")
    with serving(Site(DATA), certificate=certificate) as served:
        yield served


def bring(site: Site, target: Path, *, digest: Digest | None = SHA256, policy: Policy = QUICK) -> Receipt | None:
    return fetch([site.url], target, digest=digest, policy=policy)


def left(target: Path) -> set[str]:
    return {file.name for file in target.parent.iterdir() if not file.name.startswith(".")}


def test_a_good_day(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "new" / "v.bin"
    assert bring(site, target) == Receipt(site.url, len(DATA), SHA256.value, f"sha256 {SHA256.value}")
    assert target.read_bytes() == DATA
    assert left(target) == {"v.bin", "v.bin.json"}
    assert bring(site, target) is None
    assert len(site.asked) == 1
    assert site.asked[0][1]["Accept-Encoding"] == "identity"
    assert site.asked[0][1]["User-Agent"].startswith("vecload/")


@pytest.mark.parametrize("at", [0, 1, 4095, 65536, 65537, len(DATA) - 1])
def test_a_cut_connection_goes_on_where_it_was(site: Site, tmp_path: Path, at: int) -> None:
    site.plan.append(cut(at))
    bring(site, tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == DATA
    assert site.from_bytes == ["", f"bytes={at}-" if at else ""]
    assert site.asked[1][1].get("If-Range") == ('"one"' if at else None)


def test_cut_at_any_byte_and_often(tmp_path: Path) -> None:
    data = DATA[:100]
    digest = Digest("sha256", hashlib.sha256(data).hexdigest())
    with serving(Site(data)) as site:
        for at in range(100):
            site.plan.append(cut(at))
            bring(site, tmp_path / f"v{at}", digest=digest)
            assert (tmp_path / f"v{at}").read_bytes() == data
        site.always = cut(7)  # 15 times, each a step ahead
        bring(site, tmp_path / "steps", digest=digest)
        assert (tmp_path / "steps").read_bytes() == data


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("named", ["etag", "date", "weak", "nothing"])
def test_resuming_with_what_the_server_calls_the_file(tls: Site, tmp_path: Path, named: str, known: bool) -> None:
    tls.etag = {"etag": '"one"', "weak": 'W/"one"'}.get(named, "")
    tls.modified = "Wed, 21 Oct 2015 07:28:00 GMT" if named == "date" else ""
    tls.plan.append(cut(1000))
    bring(tls, tmp_path / "v", digest=SHA256 if known else None)
    assert (tmp_path / "v").read_bytes() == DATA
    resumed = named in ("etag", "date") or known  # without a name only the hash would tell a change
    assert tls.from_bytes == ["", "bytes=1000-" if resumed else ""]


def test_a_server_that_ignores_ranges(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    site.plan.extend([cut(1000), cut(500), cut(2000)])
    bring(site, tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == DATA
    assert site.from_bytes == ["", "bytes=1000-", "bytes=500-", "bytes=2000-"]


def test_always_cut_without_ranges_comes_to_an_end(site: Site, tmp_path: Path) -> None:
    site.ranges, site.always = False, cut(1000)
    with pytest.raises(DownloadError, match=r"ended at byte 1,000 of 200,000|connection broke"):
        bring(site, tmp_path / "v")
    assert len(site.asked) == QUICK.tries
    assert not (tmp_path / "v").exists()
    assert (tmp_path / "v.part").read_bytes() == DATA[:1000]


def test_retries_are_reported_with_cause_and_number(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.plan.append(cut(1000))
    bring(site, tmp_path / "v")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"trying again in 0 s (2 of {QUICK.tries})" in caplog.text
    assert "ended at byte 1,000 of 200,000" in caplog.text or "connection broke" in caplog.text


def change(site: Site) -> None:
    site.etag, site.data = '"two"', DATA[::-1]


@pytest.mark.parametrize("honest", [True, False])
def test_a_file_that_changes_between_tries(tls: Site, tmp_path: Path, honest: bool) -> None:
    """`If-Range` starts anew; a server that ignores it is caught by its ETag."""

    def ignoring(handler: object) -> None:
        del handler.headers["If-Range"]  # type: ignore[attr-defined]
        send()(handler)  # type: ignore[arg-type]

    tls.plan.extend([cut(1000), then(change, send() if honest else ignoring)])
    bring(tls, tmp_path / "v", digest=None)
    assert (tmp_path / "v").read_bytes() == DATA[::-1]


def test_a_change_that_only_the_hash_tells(site: Site, tmp_path: Path) -> None:
    """A part of something else, no ETag: the first hash is wrong, so all is fetched anew."""
    site.etag = ""
    (tmp_path / "v.part").write_bytes(DATA[::-1][:500])
    (tmp_path / "v.part.json").write_text(f'{{"url": "{site.url}", "validator": ""}}')
    bring(site, tmp_path / "v")
    assert site.from_bytes == ["bytes=500-", ""]
    assert (tmp_path / "v").read_bytes() == DATA


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"url": "http://127.0.0.1/other", "validator": "x"}', "\x00\xff"])
def test_a_part_of_unknown_origin_is_not_used(site: Site, tmp_path: Path, note: str) -> None:
    (tmp_path / "v.part").write_bytes(b"something")
    (tmp_path / "v.part.json").write_text(note, encoding="latin-1")
    bring(site, tmp_path / "v")
    assert site.from_bytes == [""]
    assert (tmp_path / "v").read_bytes() == DATA


@pytest.mark.parametrize("more", [0, 5])
def test_a_part_that_is_complete_or_longer(site: Site, tmp_path: Path, more: int) -> None:
    (tmp_path / "v.part").write_bytes(DATA + b"x" * more)
    (tmp_path / "v.part.json").write_text(f'{{"url": "{site.url}", "validator": "\\"one\\""}}')
    bring(site, tmp_path / "v")
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
def test_one_bad_answer_then_a_good_one(site: Site, tmp_path: Path, answer: Answer) -> None:
    site.plan.append(answer)
    bring(site, tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == DATA


def test_too_short_a_length_is_noticed(site: Site, tmp_path: Path) -> None:
    site.always = raw(200, DATA, Content_Length="1000")
    with pytest.raises(FormatError, match="not the file of the catalog"):
        bring(site, tmp_path / "v")
    with pytest.raises(DownloadError, match="a file of 1,000 bytes, the catalog one of 200,000"):
        fetch([site.url], tmp_path / "w", digest=SHA256, size=len(DATA), policy=QUICK)


@pytest.mark.parametrize("given", ["seconds", "date"])
def test_retry_after_is_obeyed(site: Site, tmp_path: Path, given: str) -> None:
    when = "1" if given == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    site.plan.append(status(429, Retry_After=when))
    begin = time.monotonic()
    bring(site, tmp_path / "v")
    assert 0.9 < time.monotonic() - begin < 10


def test_retry_after_beyond_patience(site: Site, tmp_path: Path) -> None:
    site.plan.append(status(503, Retry_After="7200"))
    with pytest.raises(DownloadError, match=r"503 Service Unavailable; the server asks to come back in 7,200 seconds"):
        bring(site, tmp_path / "v")
    assert len(site.asked) == 1


def test_patience_ends(site: Site, tmp_path: Path) -> None:
    site.always = status(500)
    with pytest.raises(DownloadError, match="status 500 Internal Server Error, 6 times in a row; try again later"):
        bring(site, tmp_path / "v")
    assert len(site.asked) == 6


def test_nobody_listens(tmp_path: Path) -> None:
    with serving(Site(DATA)) as gone:
        pass
    with pytest.raises(DownloadError, match="no answer"):
        bring(gone, tmp_path / "v")


def test_a_slow_drip_is_no_failure(site: Site, tmp_path: Path) -> None:
    site.plan.append(send(piece=10_000, pause=0.02))
    bring(site, tmp_path / "v", policy=Policy(read=0.3))
    assert (tmp_path / "v").read_bytes() == DATA
    assert len(site.asked) == 1


def test_silence_is(site: Site, tmp_path: Path) -> None:
    site.plan.append(stall(70_000, 1.0))
    bring(site, tmp_path / "v", policy=Policy(read=0.1, backoff=0.001))
    assert (tmp_path / "v").read_bytes() == DATA
    assert len(site.asked) == 2
    assert site.from_bytes[1] in ("bytes=65536-", "bytes=70000-")


@pytest.mark.parametrize("code", [404, 403, 401, 410, 204])
def test_what_will_not_pass_is_not_tried_again(site: Site, tmp_path: Path, code: int) -> None:
    site.always = status(code)
    with pytest.raises(DownloadError, match=f"status {code}"):
        bring(site, tmp_path / "v")
    assert len(site.asked) == 1
    assert left(tmp_path / "v") == set()


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_are_followed(site: Site, tmp_path: Path, code: int) -> None:
    site.plan.append(status(code, Location="/elsewhere"))
    bring(site, tmp_path / "v")
    assert [path for path, _ in site.asked] == ["/file", "/elsewhere"]


def test_a_redirect_loop(site: Site, tmp_path: Path) -> None:
    site.always = status(302, Location="/file")
    with pytest.raises(DownloadError, match="redirected more than 10 times"):
        bring(site, tmp_path / "v")


@pytest.mark.parametrize("where", ["https://127.0.0.1:1/file", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_to_another_scheme(site: Site, tmp_path: Path, where: str) -> None:
    site.always = status(302, Location=where)
    with pytest.raises(DownloadError, match="which is not http: not followed"):
        bring(site, tmp_path / "v")
    assert len(site.asked) == 1


def test_a_redirect_down_to_http(tls: Site, site: Site, tmp_path: Path) -> None:
    tls.always = status(302, Location=site.url)
    with pytest.raises(DownloadError, match="which is not https: not followed"):
        bring(tls, tmp_path / "v")
    assert site.asked == []


def test_http_only_with_a_hash(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="only https is trusted, and no hash of the file is known"):
        bring(site, tmp_path / "v", digest=None)
    with pytest.raises(DownloadError, match=r"only https is trusted$"):
        fetch(["file:///etc/passwd"], tmp_path / "v", digest=SHA256)
    assert site.asked == []


def test_an_unknown_certificate(certificate: Path, tmp_path: Path) -> None:
    with (
        serving(Site(DATA), certificate=certificate) as site,
        pytest.raises(DownloadError, match="certificate cannot be verified"),
    ):
        bring(site, tmp_path / "v")


def test_a_token_reaches_its_host_alone(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vecload.catalog import http

    monkeypatch.setenv("HF_TOKEN", "secret")
    assert http._token("https://huggingface.co/x") == {"Authorization": "Bearer secret"}
    for other in (
        "http://huggingface.co/x",
        "https://huggingface.co.evil.org/",
        "https://cdn.huggingface.co/",
        site.url,
    ):
        assert http._token(other) == {}
    bring(site, tmp_path / "v")
    assert "Authorization" not in site.asked[0][1]


def test_a_proxy_of_the_environment(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", site.url)
    fetch(["http://vectors.invalid/file"], tmp_path / "v", digest=SHA256, policy=QUICK)
    assert [path for path, _ in site.asked] == ["http://vectors.invalid/file"]


def test_mirrors(site: Site, tmp_path: Path) -> None:
    site.plan.extend([status(404), whole(b"<html>moved</html>")])
    urls = [site.url, f"{site.url}?2", f"{site.url}?3"]
    receipt = fetch(urls, tmp_path / "v", digest=SHA256, policy=QUICK)
    assert receipt is not None
    assert receipt.url == urls[2]
    site.always = status(404)
    with pytest.raises(DownloadError, match=r"404 Not Found \| .*\?2: status 404"):
        fetch(urls[:2], tmp_path / "w", digest=SHA256, policy=QUICK)


def test_wrong_content_is_kept_aside_and_explained(site: Site, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    site.always = whole(DATA[::-1])
    with pytest.raises(FormatError) as caught:
        bring(site, tmp_path / "v")
    assert left(tmp_path / "v") == {"mine", "v.rejected"}
    assert (tmp_path / "v.rejected").read_bytes() == DATA[::-1]
    message = str(caught.value)
    for part in ("v.rejected", site.url, SHA256.value, hashlib.sha256(DATA[::-1]).hexdigest(), "nothing of yours"):
        assert part in message
    site.always = None
    bring(site, tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == DATA


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><p>not found", b'\n<?xml version="1.0"?><Error>', b"plain", b""])
def test_an_error_page_is_no_file(tls: Site, tmp_path: Path, body: bytes) -> None:
    tls.always = whole(body)
    with pytest.raises(FormatError, match="no file of vectors"):
        fetch([tls.url], tmp_path / "v", magic=b"PK" if body == b"plain" else b"", policy=QUICK)


@pytest.mark.parametrize("page", [{"Content_Type": "text/html; charset=utf-8"}, {}], ids=["named", "of another length"])
def test_a_page_to_log_in_costs_nothing_that_has_come(site: Site, tmp_path: Path, page: dict[str, str]) -> None:
    site.plan.extend([cut(150_000), whole(b"<html>log in", **page)])
    with pytest.raises(DownloadError, match=r"does this network ask to log in|a file of 12 bytes, the catalog one of"):
        fetch([site.url], tmp_path / "v", digest=SHA256, size=len(DATA), policy=QUICK)
    assert (tmp_path / "v.part").stat().st_size == 150_000
    bring(site, tmp_path / "v")
    assert site.from_bytes[2] == "bytes=150000-"
    assert (tmp_path / "v").read_bytes() == DATA


def test_md5(site: Site, tmp_path: Path) -> None:
    bring(site, tmp_path / "v", digest=Digest("md5", hashlib.md5(DATA).hexdigest()))
    with pytest.raises(FormatError, match="found md5"):
        bring(site, tmp_path / "w", digest=Digest("md5", "0" * 32))


def test_no_length_at_all(tls: Site, tmp_path: Path) -> None:
    """Without a length, the end of a connection may be a cut: only a hash tells."""
    tls.always = raw(200, DATA)
    with pytest.raises(DownloadError, match="nobody says how long the file is"):
        bring(tls, tmp_path / "v", digest=None)
    bring(tls, tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == DATA
    chunks = b"%x\r\n%b\r\n" % (len(DATA), DATA)
    tls.plan.extend(
        [raw(200, chunks, Transfer_Encoding="chunked"), raw(200, chunks + b"0\r\n\r\n", Transfer_Encoding="chunked")]
    )
    bring(tls, tmp_path / "w", digest=None)
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
def test_killed_at_random_moments(site: Site, tmp_path: Path) -> None:
    """50 processes are killed while they fetch; each goes on from what the ones before it left, to the right file."""
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


def test_two_at_once_fetch_once(site: Site, tmp_path: Path) -> None:
    site.always = send(piece=20_000, pause=0.1)
    both = [started(site, tmp_path / "v") for _ in range(2)]
    said = {process.communicate(timeout=60)[0] for process in both}
    assert said == {b"ready\nfetched\n", b"ready\nthere\n"}
    assert len(site.asked) == 1
    assert (tmp_path / "v").read_bytes() == DATA


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_ctrl_c_leaves_a_part(site: Site, tmp_path: Path) -> None:
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
    bring(site, tmp_path / "v")
    assert site.from_bytes[1].startswith("bytes=")
    assert (tmp_path / "v").read_bytes() == DATA


def test_full_disk_is_reported_before_the_download(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=5))
    with pytest.raises(
        OSError, match="200,000 bytes are to come and 5 are free: make room or set VECLOAD_CACHE"
    ) as caught:
        bring(site, tmp_path / "v")
    assert caught.value.errno == errno.ENOSPC


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """128 KB, if we may mount them."""
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


def test_a_full_disk(site: Site, small_disk: Path) -> None:
    """With no length told before, only writing tells; what came stays, and goes on elsewhere or with more room."""
    site.always = raw(200, DATA, ETag='"one"')
    with pytest.raises(OSError, match="the disk is full: no more can be written") as caught:
        bring(site, small_disk / "v")
    assert caught.value.errno == errno.ENOSPC
    part = (small_disk / "v.part").read_bytes()
    assert part
    assert part == DATA[: len(part)]
    assert not (small_disk / "v").exists()
    assert os.statvfs(small_disk).f_bavail == 0


def test_plans_can_fail(tmp_path: Path) -> None:
    """The server's orders reach the client: a test that expected nothing would notice."""
    with serving(Site(b"x", plan=deque([status(418)]))) as site, pytest.raises(DownloadError, match="418"):
        fetch([site.url], tmp_path / "v", digest=SHA256)
