"""Blobs as objects behind S3, or whatever speaks as it does. Clients upload and download there by themselves, by presigned URLs."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from io import RawIOBase
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from ld_server.blobs.links import Links
from ld_server.blobs.port import CHUNK, Blob, Download, NoBlob, Upload, checked
from ld_server.domain.errors import StoreUnavailable
from ld_server.settings import InvalidSetting, Settings

log = logging.getLogger(__name__)

MIB = 1024 * 1024
_PART_BY_PART = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=8 * MIB, use_threads=False)
"""One part is held at a time; with threads boto3 holds ten."""

_BY_THE_STORE = TransferConfig(multipart_threshold=5 * 1024 * MIB, multipart_chunksize=512 * MIB, use_threads=False)
"""
The store copies by itself, and as much at once as it may: each request has its price, and there are stores that read all of the object
for each part.
"""

_MANNERS = Config(
    connect_timeout=3,
    read_timeout=20,
    retries={"total_max_attempts": 2, "mode": "standard"},
    signature_version="s3v4",
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)
"""Patience that a request has time for; no checksums of Amazon's own, which others do not know and no client of ours would send."""

_PATIENT = _MANNERS.merge(Config(read_timeout=600))
"""Stores may say nothing before a copy is done."""

_NOT_THERE = {"NoSuchKey", "404", "NotFound"}


class S3Store:
    """The objects of a bucket whose names start with `prefix`."""

    provider = "s3"
    links: Links | None = None

    def __init__(self, bucket: str, prefix: str, **manner: Any) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._manner = manner
        self._opening = Lock()

    @cached_property
    def _client(self) -> Any:
        """Made at first use: it takes a while. Threads may share it, but not make it at the same time."""
        return self._made(_MANNERS)

    @cached_property
    def _copying(self) -> Any:
        """The same for what may take as long as an object is large."""
        return self._made(_PATIENT)

    def _made(self, manners: Config) -> Any:
        with self._opening:
            return boto3.session.Session().client("s3", config=manners, **self._manner)

    @cached_property
    def origin(self) -> str | None:
        """As presigned URLs have it: the bucket may be a part of the host."""
        try:
            link = urlsplit(self._presigned("get_object", {"Bucket": self._bucket, "Key": self._prefix}, timedelta(minutes=1)))
        except StoreUnavailable:
            return None
        return f"{link.scheme}://{link.netloc}"

    def put(self, key: str, chunks: Iterable[bytes], content_type: str) -> int:
        stream = _Stream(chunks)
        with _outages(key):
            extra = {"ContentType": content_type}
            self._client.upload_fileobj(stream, self._bucket, self._name(key), ExtraArgs=extra, Config=_PART_BY_PART)
        return stream.size

    def get(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        if end is not None and end <= start:
            return iter(())
        wanted = {"Range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end is not None else {}
        with _outages(key):
            try:
                found = self._client.get_object(**self._at(key), **wanted)
            except ClientError as error:
                if error.response["Error"]["Code"] != "InvalidRange":
                    raise
                return iter(())
        return _chunks(found["Body"], key)

    def head(self, key: str) -> Blob | None:
        try:
            with _outages(key):
                found = self._client.head_object(**self._at(key))
        except NoBlob:
            return None
        return Blob(key, found["ContentLength"], found["LastModified"])

    def copy(self, source: str, target: str) -> None:
        with _outages(source):
            self._copying.copy(self._at(source), self._bucket, self._name(target), Config=_BY_THE_STORE)

    def delete(self, key: str) -> None:
        with _outages(key):
            self._client.delete_object(**self._at(key))

    def list(self, prefix: str = "") -> Iterator[Blob]:
        with _outages(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            for page in pages:
                for one in page.get("Contents", ()):
                    yield Blob(one["Key"].removeprefix(self._prefix), one["Size"], one["LastModified"])

    def upload(self, key: str, content_type: str, size: int, now: datetime, lifetime: timedelta) -> Upload:
        """The size and the media type are signed: the store itself refuses others."""
        said = {**self._at(key), "ContentType": content_type, "ContentLength": size}
        return Upload(self._presigned("put_object", said, lifetime), headers={"Content-Type": content_type})

    def download(self, key: str, told: Download, now: datetime, lifetime: timedelta) -> str:
        said = {"ResponseContentType": told.content_type, "ResponseContentDisposition": told.disposition}
        return self._presigned("get_object", {**self._at(key), **said}, lifetime)

    def sweep(self, before: datetime) -> int:
        """Uploads in parts that nobody has ended."""
        count = 0
        with _outages(""):
            for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket, Prefix=self._prefix):
                for one in page.get("Uploads", ()):
                    if one["Initiated"] < before:
                        self._client.abort_multipart_upload(Bucket=self._bucket, Key=one["Key"], UploadId=one["UploadId"])
                        count += 1
        return count

    def ping(self) -> None:
        with _outages(""):
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)

    def close(self) -> None:
        for name in ("_client", "_copying"):
            if name in self.__dict__:
                self.__dict__[name].close()

    def _presigned(self, operation: str, said: dict[str, Any], lifetime: timedelta) -> str:
        with _outages(""):
            return str(self._client.generate_presigned_url(operation, Params=said, ExpiresIn=int(lifetime.total_seconds())))

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._name(key)}

    def _name(self, key: str) -> str:
        return self._prefix + checked(key)


def open_s3_store(settings: Settings) -> S3Store:
    """
    The store at `s3://bucket/prefix?region=…`. Credentials are those that boto3 finds by itself, or stand before the bucket.

    Raises InvalidSetting for a URL without a bucket.
    """
    parts = urlsplit(settings.blob_url)
    if not parts.hostname:
        raise InvalidSetting("LD_BLOB_URL must name a bucket: s3://<bucket>/<prefix>")
    manner = {
        "endpoint_url": settings.blob_endpoint or None,
        "region_name": parse_qs(parts.query).get("region", ["us-east-1"])[0],
        "aws_access_key_id": unquote(parts.username) if parts.username else None,
        "aws_secret_access_key": unquote(parts.password) if parts.password else None,
    }
    return S3Store(parts.netloc.rpartition("@")[2], unquote(parts.path), **manner)


class _Stream(RawIOBase):
    """Chunks as boto3 reads them: as a file that cannot go back."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self.size = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """As many bytes as are asked for, unless the chunks end."""
        taken = [self._held]
        length = len(self._held)
        while (size < 0 or length < size) and (chunk := next(self._chunks, None)) is not None:
            taken.append(chunk)
            length += len(chunk)
        whole = b"".join(taken)
        given, self._held = (whole, b"") if size < 0 else (whole[:size], whole[size:])
        self.size += len(given)
        return given


def _chunks(body: Any, key: str) -> Iterator[bytes]:
    with _outages(key):
        try:
            yield from body.iter_chunks(CHUNK)
        finally:
            body.close()


@contextmanager
def _outages(key: str) -> Iterator[None]:
    """Raises NoBlob for an object that is not there, and StoreUnavailable for whatever keeps the store from doing its work."""
    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in _NOT_THERE:
            raise NoBlob(key) from None
        log.warning("the store of attachments refuses: %s", error)
        raise StoreUnavailable(f"The store of attachments refuses to work: {code}.") from error
    except (BotoCoreError, HTTPClientError) as error:
        log.warning("the store of attachments fails: %s", error)
        raise StoreUnavailable("The store of attachments cannot be reached.") from error
