"""What every store of blobs promises (ld_server.blobs.port), on a disk and behind S3."""

import errno
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import psutil
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from ld_server.blobs import s3
from ld_server.blobs.port import CHUNK, BlobStore, Download, NoBlob
from ld_server.blobs.secret import secrets_of
from ld_server.blobs.store import BACKENDS, open_store
from ld_server.domain.errors import LinkRefused, StoreUnavailable
from ld_server.settings import InvalidSetting, Settings
from tests.s3_servers import BUCKET, S3Server

PHOTO, OTHER = "att-6-0f3c", "att-7-77aa"
CONTENT = bytes(range(256)) * 4096
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
MIB = 1024 * 1024


def on_a_disk(directory: Path, _server: Callable[[], S3Server]) -> Settings:
    return Settings(data_dir=directory)


def behind_s3(directory: Path, server: Callable[[], S3Server]) -> Settings:
    return Settings(data_dir=directory, blob_url=server().url, blob_endpoint=server().endpoint)


BACKENDS_AT: dict[str, Callable[[Path, Callable[[], S3Server]], Settings]] = {"file": on_a_disk, "s3": behind_s3}


@pytest.fixture(params=BACKENDS_AT)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlobStore]:
    opened = open_store(BACKENDS_AT[request.param](tmp_path, lambda: request.getfixturevalue("s3_server")))
    for blob in list(opened.list()):
        opened.delete(blob.key)
    yield opened
    opened.close()


def content_of(store: BlobStore, key: str = PHOTO, start: int = 0, end: int | None = None) -> bytes:
    return b"".join(store.get(key, start, end))


def test_every_backend_is_held_to_these_promises() -> None:
    assert BACKENDS_AT.keys() == BACKENDS.keys()


def test_what_was_put_is_given_back(store: BlobStore) -> None:
    assert store.put(PHOTO, [CONTENT[:10], CONTENT[10:]], "image/jpeg") == len(CONTENT)
    assert content_of(store) == CONTENT
    found = store.head(PHOTO)
    assert found is not None and (found.key, found.size) == (PHOTO, len(CONTENT))
    assert abs(found.modified_at - datetime.now(UTC)) < HOUR


def test_nothing_comes_as_one_piece(store: BlobStore) -> None:
    store.put(PHOTO, [CONTENT], "image/jpeg")
    assert max(map(len, store.get(PHOTO))) <= CHUNK


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (0, None), (100, 200), (len(CONTENT) - 1, None), (CHUNK - 1, CHUNK + 1), (5, 5), (len(CONTENT), None)]
)
def test_a_range_is_cut_out_exactly(store: BlobStore, start: int, end: int | None) -> None:
    store.put(PHOTO, [CONTENT], "image/jpeg")
    assert content_of(store, start=start, end=end) == CONTENT[start:end]


def test_an_empty_blob_is_one(store: BlobStore) -> None:
    assert store.put(PHOTO, [], "text/plain") == 0
    found = store.head(PHOTO)
    assert found is not None and found.size == 0
    assert content_of(store) == b""


def test_what_is_not_there_is_told_at_once(store: BlobStore) -> None:
    assert store.head(PHOTO) is None
    with pytest.raises(NoBlob):
        store.get(PHOTO)
    with pytest.raises(NoBlob):
        store.copy(PHOTO, OTHER)
    store.delete(PHOTO)


def test_a_blob_is_replaced_and_removed(store: BlobStore) -> None:
    store.put(PHOTO, [CONTENT], "image/jpeg")
    store.put(PHOTO, [b"better"], "image/jpeg")
    assert content_of(store) == b"better"
    store.delete(PHOTO)
    assert store.head(PHOTO) is None


def test_a_copy_is_what_the_blob_was_then(store: BlobStore) -> None:
    store.put(PHOTO, [b"one"], "image/jpeg")
    store.put(OTHER, [b"other"], "image/jpeg")
    store.copy(PHOTO, OTHER)
    assert (content_of(store), content_of(store, OTHER)) == (b"one", b"one")
    store.put(PHOTO, [b"changed"], "image/jpeg")
    assert content_of(store, OTHER) == b"one"
    store.put(OTHER, [b"rewritten"], "image/jpeg")
    assert content_of(store) == b"changed"
    store.delete(PHOTO)
    assert content_of(store, OTHER) == b"rewritten"


def test_a_copy_counts_as_written_when_it_was_made(store: BlobStore) -> None:
    """A sweep takes what is old, and must not take what is about to be used."""
    store.put(PHOTO, [b"one"], "image/jpeg")
    written_at = modified_at(store, PHOTO)
    time.sleep(1.1)  # S3 tells seconds
    store.copy(PHOTO, OTHER)
    assert modified_at(store, OTHER) > written_at


def modified_at(store: BlobStore, key: str) -> datetime:
    found = store.head(key)
    assert found is not None
    return found.modified_at


def test_a_write_that_breaks_off_leaves_what_was_there(store: BlobStore) -> None:
    def broken() -> Iterator[bytes]:
        yield CONTENT
        raise ConnectionResetError("the client is gone")

    with pytest.raises(ConnectionResetError):
        store.put(PHOTO, broken(), "image/jpeg")
    assert list(store.list()) == []
    store.put(PHOTO, [b"first"], "image/jpeg")
    with pytest.raises(ConnectionResetError):
        store.put(PHOTO, broken(), "image/jpeg")
    assert content_of(store) == b"first"


def test_blobs_are_listed_by_how_they_begin(store: BlobStore) -> None:
    for key in (PHOTO, OTHER, "draft-1-aaaa"):
        store.put(key, [key.encode()], "text/plain")
    assert {blob.key: blob.size for blob in store.list("att-")} == {PHOTO: len(PHOTO), OTHER: len(OTHER)}
    assert len(list(store.list())) == 3


@pytest.mark.parametrize(
    "key", ["", "..", "../secret", "a/b", "/etc/passwd", "a.jpg", "A-1", "caf\u00e9", "a" * 101, "a\x00b", "-a", "aa\n"]
)
def test_what_is_no_key_never_reaches_the_store(store: BlobStore, key: str) -> None:
    told = Download("text/plain", "attachment")
    for attempt in (
        lambda: store.put(key, [b"x"], "text/plain"),
        lambda: store.get(key),
        lambda: store.head(key),
        lambda: store.delete(key),
        lambda: store.copy(key, PHOTO),
        lambda: store.copy(PHOTO, key),
        lambda: store.upload(key, "text/plain", 1, NOW, HOUR),
        lambda: store.download(key, told, NOW, HOUR),
    ):
        with pytest.raises(ValueError, match="no key"):
            attempt()


def test_a_store_that_works_answers(store: BlobStore) -> None:
    store.ping()


def test_a_large_blob_passes_through_little_memory(store: BlobStore) -> None:
    """64 MiB; holding them at once would show."""
    process, size = psutil.Process(), 64 * 1024 * 1024
    store.put(OTHER, [b"warm"], "video/mp4")
    before, highest = process.memory_info().rss, 0
    done = threading.Event()

    def watch() -> None:
        nonlocal highest
        while not done.is_set():
            highest = max(highest, process.memory_info().rss)
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        assert store.put(PHOTO, repeat(b"\x00" * CHUNK, size // CHUNK), "video/mp4") == size
        assert sum(map(len, store.get(PHOTO))) == size
    finally:
        done.set()
        watcher.join()
    assert highest - before < 48 * 1024 * 1024


def test_writers_of_one_key_leave_the_work_of_one_of_them(store: BlobStore) -> None:
    """Whoever is last wins as a whole; never a mixture."""
    works = [bytes([number]) * 300_000 for number in range(6)]
    start = threading.Barrier(len(works))

    def write(work: bytes) -> None:
        start.wait()
        store.put(PHOTO, [work[:1000], work[1000:]], "image/jpeg")

    threads = [threading.Thread(target=write, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert content_of(store) in works


# --- the disk ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def on_disk(tmp_path: Path) -> BlobStore:
    return open_store(Settings(data_dir=tmp_path))


WRITER = """
import sys, time
from pathlib import Path
from ld_server.blobs.store import open_store
from ld_server.settings import Settings

def slowly():
    yield b"x" * 100_000
    print("half", flush=True)
    time.sleep(60)

open_store(Settings(data_dir=Path(sys.argv[1]))).put("att-6-0f3c", slowly(), "image/jpeg")
"""


def test_a_writer_that_is_killed_leaves_nothing_visible(on_disk: BlobStore, tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None and writer.stdout.readline() == b"half\n"
    writer.kill()
    writer.wait()
    writer.stdout.close()
    assert on_disk.head(PHOTO) is None and list(on_disk.list()) == []
    assert on_disk.sweep(datetime.now(UTC) - HOUR) == 0
    assert on_disk.sweep(datetime.now(UTC) + HOUR) == 1
    assert not [one for one in (tmp_path / "blobs").rglob("*") if one.is_file()]


@pytest.mark.parametrize("code", [errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_a_disk_without_second_names_copies_the_bytes(on_disk: BlobStore, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def none_here(*_: Any) -> None:
        raise OSError(code, "no links here")

    monkeypatch.setattr(os, "link", none_here)
    test_a_copy_is_what_the_blob_was_then(on_disk)
    with pytest.raises(NoBlob):
        on_disk.copy("att-8-0f3c", OTHER)
    assert on_disk.sweep(datetime.now(UTC) + HOUR) == 0


def test_a_disk_that_fails_while_copying_is_told(on_disk: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    on_disk.put(PHOTO, [b"one"], "image/jpeg")
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        on_disk.copy(PHOTO, OTHER)
    assert on_disk.head(OTHER) is None and on_disk.sweep(datetime.now(UTC) + HOUR) == 0


def test_files_are_for_the_owner_alone(on_disk: BlobStore, tmp_path: Path) -> None:
    on_disk.put(PHOTO, [b"x"], "image/jpeg")
    found = [one for one in (tmp_path / "blobs").rglob("*") if one.is_file()]
    assert found and all(one.stat().st_mode & 0o077 == 0 for one in found)


def test_a_directory_that_cannot_be_used_is_a_store_that_is_down(on_disk: BlobStore, tmp_path: Path) -> None:
    (tmp_path / "blobs").write_text("a file where a directory should be")
    with pytest.raises(StoreUnavailable, match="cannot be used"):
        on_disk.put(PHOTO, [b"x"], "image/jpeg")


def opened(store: BlobStore, method: str, url: str, now: datetime = NOW, key: str = PHOTO) -> dict[str, str]:
    assert store.links is not None
    assert url.startswith(f"http://localhost:8000/v1/blobs/{PHOTO}?")
    return dict(store.links.opened(method, key, dict(parse_qsl(urlsplit(url).query)), now))


def test_a_link_of_our_own_says_what_it_allows(on_disk: BlobStore) -> None:
    upload = on_disk.upload(PHOTO, "image/jpeg", 12, NOW, HOUR)
    assert (upload.method, upload.headers) == ("PUT", {"Content-Type": "image/jpeg"})
    said = opened(on_disk, "PUT", upload.url)
    assert (said["size"], said["type"]) == ("12", "image/jpeg")
    told = Download("image/jpeg", "attachment; filename*=UTF-8''caf%C3%A9.jpg")
    said = opened(on_disk, "GET", on_disk.download(PHOTO, told, NOW, HOUR))
    assert (said["type"], said["disposition"]) == (told.content_type, told.disposition)


def test_a_link_ends_when_it_says(on_disk: BlobStore) -> None:
    url = on_disk.upload(PHOTO, "image/jpeg", 12, NOW, HOUR).url
    assert opened(on_disk, "PUT", url, NOW + HOUR - timedelta(seconds=2))
    with pytest.raises(LinkRefused, match="expired"):
        opened(on_disk, "PUT", url, NOW + HOUR)


@pytest.mark.parametrize("change", ["expires", "size", "type", "signature", "more", "method", "key"])
def test_a_link_that_was_changed_opens_nothing(on_disk: BlobStore, change: str) -> None:
    assert on_disk.links is not None
    said = dict(parse_qsl(urlsplit(on_disk.upload(PHOTO, "image/jpeg", 12, NOW, HOUR).url).query))
    changed = {**said, **({change: "1" + said[change]} if change in said else {"disposition": "inline"} if change == "more" else {})}
    method, key = ("GET" if change == "method" else "PUT"), (OTHER if change == "key" else PHOTO)
    with pytest.raises(LinkRefused, match="changed"):
        on_disk.links.opened(method, key, changed, NOW)


def test_processes_of_a_deployment_have_one_secret_and_deployments_have_others(tmp_path: Path) -> None:
    one, other = Settings(data_dir=tmp_path / "one"), Settings(data_dir=tmp_path / "other")
    barrier, found = threading.Barrier(8), []

    def ask() -> None:
        barrier.wait()
        found.extend(secrets_of(one))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == set(secrets_of(one)) and len(found[0]) >= 32
    assert secrets_of(other) != found[:1]
    assert [one.name for one in (tmp_path / "one").iterdir()] == ["secret-key"]
    assert (tmp_path / "one" / "secret-key").stat().st_mode & 0o077 == 0
    assert secrets_of(Settings(data_dir=tmp_path / "one", secret_key="from the vault")) == [b"from the vault"]


def test_links_that_were_signed_before_the_secret_was_exchanged_work_until_the_old_one_is_taken_away(tmp_path: Path) -> None:
    old, new = "o" * 32, "n" * 32

    def store(secret_key: str) -> BlobStore:
        return open_store(Settings(data_dir=tmp_path, secret_key=secret_key))

    before, meanwhile = (store(key).upload(PHOTO, "image/jpeg", 12, NOW, HOUR).url for key in (old, f"{new}, {old}"))
    for key, url, is_ours in (
        (f"{new}, {old}", before, True),
        (new, meanwhile, True),
        (new, before, False),
        (old, meanwhile, False),
        (f"{new}, {old}", before.replace("size=12", "size=13"), False),
    ):
        with nullcontext() if is_ours else pytest.raises(LinkRefused, match="changed"):
            assert opened(store(key), "PUT", url)


# --- behind S3 --------------------------------------------------------------------------------------------------------


@pytest.fixture
def behind(s3_server: S3Server, tmp_path: Path) -> BlobStore:
    return open_store(behind_s3(tmp_path, lambda: s3_server))


def test_clients_speak_to_s3_by_themselves(behind: BlobStore, s3_server: S3Server) -> None:
    upload = behind.upload(PHOTO, "image/jpeg", 4, NOW, HOUR)
    assert upload.url.startswith(f"{s3_server.endpoint}/{BUCKET}/attachments/{PHOTO}?")
    assert "content-length" in dict(parse_qsl(urlsplit(upload.url).query))["X-Amz-SignedHeaders"]
    request = urllib.request.Request(upload.url, data=b"\xff\xd8\xff\xe0", method=upload.method, headers=dict(upload.headers))
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200
    told = Download("image/jpeg", "attachment; filename*=UTF-8''caf%C3%A9.jpg")
    with urllib.request.urlopen(behind.download(PHOTO, told, NOW, HOUR), timeout=30) as answer:
        assert answer.read() == b"\xff\xd8\xff\xe0"
        assert (answer.headers["Content-Type"], answer.headers["Content-Disposition"]) == (told.content_type, told.disposition)


def requests_of_a_copy(store: BlobStore) -> Counter[str]:
    """How often a copy of PHOTO to OTHER asks the store for what."""
    asked: Counter[str] = Counter()
    events = store._copying.meta.events  # type: ignore[attr-defined]
    events.register("before-call.s3", lambda model, **_: asked.update([model.name]), unique_id="counting")
    try:
        store.copy(PHOTO, OTHER)
    finally:
        events.unregister("before-call.s3", unique_id="counting")
    return asked


def test_a_large_object_is_copied_at_once_and_by_the_store(behind: BlobStore) -> None:
    size = 64 * MIB
    behind.put(PHOTO, repeat(bytes(MIB), size // MIB), "video/mp4")
    assert requests_of_a_copy(behind) == {"HeadObject": 1, "CopyObject": 1}
    found = behind.head(OTHER)
    assert found is not None and found.size == size and behind.head(PHOTO) is not None


def test_what_is_too_large_to_be_copied_at_once_is_copied_in_large_parts(behind: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert s3._BY_THE_STORE.multipart_threshold == 5 * 1024 * MIB  # more is refused by Amazon
    assert s3._BY_THE_STORE.multipart_chunksize >= 256 * MIB
    smaller = TransferConfig(multipart_threshold=10 * MIB, multipart_chunksize=5 * MIB, use_threads=False)
    monkeypatch.setattr(s3, "_BY_THE_STORE", smaller)
    pieces = [bytes([number]) * MIB for number in range(12)]
    behind.put(PHOTO, pieces, "video/mp4")
    asked = requests_of_a_copy(behind)
    assert asked == {"HeadObject": 1, "CreateMultipartUpload": 1, "UploadPartCopy": 3, "CompleteMultipartUpload": 1}
    assert content_of(behind, OTHER) == b"".join(pieces) and behind.head(PHOTO) is not None
    assert behind.sweep(datetime.now(UTC)) == 0


class SlowCopier(BaseHTTPRequestHandler):
    """What stands before a store and says nothing for some seconds when something is to be copied, as stores do for large objects."""

    to: ClassVar[str] = ""
    seconds = 3.0

    def pass_on(self) -> None:
        time.sleep(self.seconds if "x-amz-copy-source" in self.headers else 0)
        request = urllib.request.Request(self.to + self.path, method=self.command, headers=dict(self.headers))
        request.data = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        with urllib.request.urlopen(request, timeout=30) as answer, suppress(OSError):
            content = answer.read()
            self.send_response(answer.status)
            for name in {"Last-Modified", "ETag", "Content-Length"} & {*answer.headers}:
                self.send_header(name, answer.headers[name])
            self.end_headers()
            self.wfile.write(content)

    do_HEAD = do_PUT = pass_on

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


def test_a_store_may_take_longer_for_a_copy_than_for_anything_else(
    behind: BlobStore, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_MANNERS", s3._MANNERS.merge(Config(read_timeout=2)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Copier", (SlowCopier,), {"to": s3_server.endpoint}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    store = open_store(Settings(data_dir=tmp_path, blob_url=s3_server.url, blob_endpoint=f"http://127.0.0.1:{server.server_port}"))
    try:
        behind.put(PHOTO, [b"one"], "image/jpeg")
        store.copy(PHOTO, OTHER)
        assert content_of(behind, OTHER) == b"one"
    finally:
        store.close()
        server.shutdown()
        server.server_close()


def test_uploads_in_parts_that_nobody_ended_are_swept(behind: BlobStore) -> None:
    client, at = behind._client, {"Bucket": BUCKET, "Key": f"attachments/{OTHER}"}  # type: ignore[attr-defined]
    client.create_multipart_upload(**at)
    assert behind.sweep(datetime(2010, 1, 1, tzinfo=UTC)) == 0  # the server gives every upload a day in 2010
    assert behind.sweep(datetime.now(UTC)) == 1
    assert behind.sweep(datetime.now(UTC)) == 0


def test_a_store_that_is_down_is_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, blob_url="s3://a:b@fleet/x", blob_endpoint="http://127.0.0.1:9")
    store = open_store(settings)
    for attempt in (store.ping, lambda: store.head(PHOTO), lambda: store.get(PHOTO), lambda: store.put(PHOTO, [b"x"], "a/b")):
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            attempt()
    store.close()


def test_a_bucket_that_is_not_there_is_told(s3_server: S3Server, tmp_path: Path) -> None:
    store = open_store(Settings(data_dir=tmp_path, blob_url="s3://a:b@nowhere/x", blob_endpoint=s3_server.endpoint))
    with pytest.raises(StoreUnavailable, match="NoSuchBucket"):
        store.ping()


@pytest.mark.parametrize("url", ["ftp://example.org/x", "blobs", "s3:///prefix", "file://elsewhere/blobs"])
def test_another_sort_of_url_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="LD_BLOB_URL"):
        open_store(Settings(data_dir=tmp_path, blob_url=url))
