"""Servers that send too much, too slowly or invalid data, and a cache that other users can write to."""

from __future__ import annotations

import hashlib
import os
import random
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import vecload
from tests.serving import Answer, Handler, Site, raw, send, serving, status, whole
from vecload import catalog
from vecload.catalog import listing
from vecload.catalog.cache import cache_path, native_path
from vecload.catalog.http import Policy, content_range, parse_number
from vecload.catalog.listing import Digest
from vecload.catalog.remote_zip import Member
from vecload.catalog.transfer import fetch
from vecload.errors import DownloadError, FormatError

DATA = random.Random(0).randbytes(100_000)
SHA256 = Digest("sha256", hashlib.sha256(DATA).hexdigest())
QUICK = Policy(tries=3, backoff=0.001, connect=5, read=5, answer=5)
TEXT = b"cat 1 2\ndog 3 4\n"


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site(DATA)) as served:
        yield served


def chunked(pieces: int, piece: bytes) -> Answer:
    """Serve chunks without a length in the header."""

    def answer(handler: Handler) -> None:
        handler.head(200, {"Transfer-Encoding": "chunked"})
        for _ in range(pieces):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    return answer


def trickle(pause: float, *, head: bool = False) -> Answer:
    """Send the headers or the body one byte at a time."""

    def answer(handler: Handler) -> None:
        if head:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        else:
            handler.head(200, {"Content-Length": str(len(DATA))})
        for _ in range(200):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(pause)

    return answer


def folder_size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_more_bytes_than_the_catalog_announces_are_refused(site: Site, tmp_path: Path) -> None:
    site.always = chunked(400, b"x" * 50_000)
    with pytest.raises(DownloadError, match="received more bytes than the announced 100,000"):
        fetch([site.url], tmp_path / "v", size=len(DATA), digest=SHA256, policy=QUICK)
    assert folder_size(tmp_path) < 100_000


def test_more_bytes_than_the_server_announces_for_the_rest_are_refused(site: Site, tmp_path: Path) -> None:
    site.etag = '"one"'
    site.plan.append(lambda handler: handler.wfile.write(handler.body()[:60_000]) and None)
    span_header = f"bytes 60000-99999/{len(DATA)}"
    site.always = raw(206, b"x" * 5_000_000, Content_Range=span_header, Content_Length="5000000", ETag=site.etag)
    with pytest.raises(DownloadError, match="received more bytes than the announced 100,000"):
        fetch([site.url], tmp_path / "v", digest=SHA256, policy=QUICK)
    assert folder_size(tmp_path) <= 100_000


def test_rejected_file_is_kept_up_to_the_announced_size(site: Site, tmp_path: Path) -> None:
    site.always = chunked(64, b"x" * 50_000)
    with pytest.raises(FormatError):
        fetch([site.url], tmp_path / "v", digest=SHA256, policy=QUICK)
    assert (tmp_path / "v.rejected").stat().st_size == 1 << 20  # the size was not announced
    site.always = whole(b"x" * len(DATA))
    with pytest.raises(FormatError):
        fetch([site.url], tmp_path / "w", size=len(DATA), digest=SHA256, policy=QUICK)
    assert (tmp_path / "w.rejected").stat().st_size == len(DATA)


@pytest.mark.parametrize("head", [False, True])
def test_server_that_sends_bytes_too_slowly_times_out(head: bool, site: Site, tmp_path: Path) -> None:
    """Every byte arrives within the read timeout, and every attempt gets new bytes."""
    site.always = trickle(0.05, head=head)
    slow = Policy(tries=3, backoff=0.001, connect=5, read=5, answer=0.4, slowest=10_000, grace=0.5)
    begin = time.monotonic()
    with pytest.raises(DownloadError, match=r"too slow: |no answer within"):
        fetch([site.url], tmp_path / "v", digest=SHA256, policy=slow)
    assert time.monotonic() - begin < 5


def test_slow_member_of_an_archive_times_out(site: Site) -> None:
    site.plan.append(lambda handler: handler.body() and None)
    site.always = lambda handler: (
        handler.head(206, {"Content-Range": f"bytes 99000-99999/{len(DATA)}", "Content-Length": "1000"}),
        time.sleep(0.3),
    )[0]
    slow = Policy(tries=3, backoff=0.001, connect=5, read=0.2, answer=5, slowest=10_000, grace=0.5)
    with pytest.raises(DownloadError):
        Member([site.url], "v.txt", hash_known=True, policy=slow)


def test_steady_transfer_above_the_minimum_speed_succeeds(site: Site, tmp_path: Path) -> None:
    site.always = send(piece=20_000, pause=0.05)
    policy = Policy(tries=3, backoff=0.001, connect=5, read=5, answer=5, slowest=50_000, grace=0.3)
    assert fetch([site.url], tmp_path / "v", digest=SHA256, policy=policy) is not None


LOCATIONS = {
    "half an IPv6 address": "http://[::1",
    "port out of range": "http://127.0.0.1:99999999/",
    "port not a number": "http://127.0.0.1:port/",
    "label too long": "http://" + "a" * 300 + ".example/",
    "empty label": "http://.example/",
    "no host": "http:///file",
    "control characters": "http://127.0.0.1/\x01\x7f",
    "very long": "ftp://" + "a" * 60_000,
}


@pytest.mark.parametrize("location", LOCATIONS)
def test_broken_redirect_is_a_download_error(location: str, site: Site, tmp_path: Path) -> None:
    site.always = status(302, Location=LOCATIONS[location])
    with pytest.raises(DownloadError) as caught:
        fetch([site.url], tmp_path / "v", digest=SHA256, policy=QUICK)
    assert len(str(caught.value)) < 1000


DATES = [
    "Wed, 21 Oct 2015 07:28:00 -0000",
    "Wed, 99 Oct 2015 07:28:00 GMT",
    "Wed, 21 Oct 99999 07:28:00 GMT",
    "21 Oct",
    ",",
    "",
    "-5",
    "1" * 5000,
    "1e9",
    "²",
    "Wed, 21 Oct 2015 07:28:00 +9999",
]


@pytest.mark.parametrize("date", DATES)
def test_any_retry_after_is_a_download_error_or_a_pause(date: str, site: Site, tmp_path: Path) -> None:
    site.always = status(503, Retry_After=date)
    with pytest.raises(DownloadError) as caught:
        fetch([site.url], tmp_path / "v", digest=SHA256, policy=QUICK)
    assert len(str(caught.value)) < 1000


# urllib3 leaves a refused socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("length", ["-1", "9" * 5000, "²", "1, 2", "100000, 100000", "0x10", "", "1e5"])
def test_any_content_length_ends_in_a_download_error_or_the_file(length: str, site: Site, tmp_path: Path) -> None:
    site.always = raw(200, DATA, Content_Length=length)
    try:
        receipt = fetch([site.url], tmp_path / "v", size=len(DATA), digest=SHA256, policy=QUICK)
    except (DownloadError, FormatError) as error:
        assert len(str(error)) < 1000
    else:
        assert receipt is not None
        assert (tmp_path / "v").read_bytes() == DATA


@pytest.mark.parametrize(
    "value", ["bytes 5-9/" + "9" * 5000, "bytes ²-9/10", "bytes -5-9/10", "lines 5-9/10", "bytes", ""]
)
def test_any_content_range_is_parsed_or_ignored(value: str) -> None:
    assert all(part is None or 0 <= part < 10**18 for part in content_range({"Content-Range": value}))


@pytest.mark.parametrize("text", ["9" * 19, "-1", "+1", " 1", "1_0", "²", "१", ""])
def test_numbers_of_headers_are_ascii_digits(text: str) -> None:
    assert parse_number(text) is None


@pytest.mark.parametrize("tag", ['"' + "x" * 60_000 + '"', '"\x7f"', '"é"'])
def test_any_etag_is_accepted_after_a_broken_connection(tag: str, site: Site, tmp_path: Path) -> None:
    def cut_short(handler: Handler) -> None:
        handler.head(200, {"ETag": tag, "Content-Length": str(len(DATA))})
        handler.wfile.write(DATA[:5000])

    site.plan.append(cut_short)
    assert fetch([site.url], tmp_path / "v", digest=SHA256, policy=QUICK) is not None
    assert (tmp_path / "v").read_bytes() == DATA


# --------------------------------------------------------------------------------------------------- the shared cache


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VECLOAD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entry_of(digest: Digest | None) -> listing.Entry:
    return listing.Entry(
        family="test",
        name="vectors",
        template="vectors",
        languages=("en",),
        dim=2,
        urls=("https://127.0.0.1:9/v.txt",),
        file="v.txt",
        format="GloVe text",
        license="unknown",
        sha256=digest.value if digest else None,
    )


def placed(cache: Path, digest: Digest | None, content: bytes = TEXT) -> listing.Entry:
    """Return an entry whose file is in the cache."""
    entry = entry_of(digest)
    path = cache_path(entry)
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(content)
    return entry


TEXT_DIGEST = Digest("sha256", hashlib.sha256(TEXT).hexdigest())
posix = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
MAKE_SHARED = {
    "file others can write": lambda file: file.chmod(0o666),
    "folder others can write": lambda file: file.parent.chmod(0o777),
    "cache others can write": lambda file: file.parent.parent.chmod(0o777),
    "file of another owner": lambda file: os.chown(file, 12345, -1),
    "folder of another owner": lambda file: os.chown(file.parent, 12345, -1),
}


def make_shared(how: str, file: Path) -> None:
    try:
        MAKE_SHARED[how](file)
    except PermissionError:
        pytest.skip("only root can change the owner of a file")


@posix
@pytest.mark.parametrize("how", MAKE_SHARED)
def test_cached_file_that_others_may_have_written_is_verified(how: str, cache: Path) -> None:
    entry = placed(cache, TEXT_DIGEST)
    make_shared(how, cache_path(entry))
    assert catalog.download(entry).read_bytes() == TEXT
    cache_path(entry).write_bytes(b"cat 9 9\n")
    with pytest.raises(FormatError, match="the cached file is not the catalog's file"):
        catalog.download(entry)


@posix
@pytest.mark.parametrize("how", MAKE_SHARED)
def test_cached_file_without_a_known_hash_that_others_may_have_written_is_refused(how: str, cache: Path) -> None:
    entry = placed(cache, None)
    assert catalog.download(entry).read_bytes() == TEXT
    make_shared(how, cache_path(entry))
    with pytest.raises(DownloadError, match="no hash of it is known"):
        catalog.download(entry)


@posix
def test_cached_file_in_a_private_folder_is_not_hashed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = placed(cache, TEXT_DIGEST, b"cat 9 9\n")
    monkeypatch.setattr("vecload.catalog.cache.digests", lambda *_: pytest.fail("hashed"))
    assert catalog.download(entry) == cache_path(entry)


@posix
def test_native_form_that_others_may_have_written_is_not_used(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = placed(cache, TEXT_DIGEST)
    monkeypatch.setattr("vecload.resolving.find_entry", lambda _: entry)
    vecload.Vectors(["native"], [[1.0, 2.0]]).save(native_path(entry))
    assert list(vecload.load("vectors").words) == ["native"]
    native_path(entry).chmod(0o666)
    assert list(vecload.load("vectors").words) == ["cat", "dog"]


@posix
def test_cache_folder_is_made_for_this_user_alone(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VECLOAD_CACHE", raising=False)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda _: tmp_path / "home" / "vecload")
    old = os.umask(0)
    try:
        with pytest.raises(DownloadError):
            catalog.download(entry_of(TEXT_DIGEST), policy=Policy(tries=1, connect=1))
    finally:
        os.umask(old)
    root = tmp_path / "home" / "vecload"
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    root.chmod(0o755)
    with pytest.raises(DownloadError):
        catalog.download(entry_of(TEXT_DIGEST), policy=Policy(tries=1, connect=1))
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
