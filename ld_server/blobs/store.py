"""The door to attachments: which backend a URL means."""

from collections.abc import Callable
from urllib.parse import urlsplit

from ld_server.blobs.local import open_local_store
from ld_server.blobs.port import Blob, BlobStore, Download, NoBlob, Upload
from ld_server.blobs.s3 import open_s3_store
from ld_server.settings import InvalidSetting, Settings

__all__ = ["BACKENDS", "Blob", "BlobStore", "Download", "NoBlob", "Upload", "open_store"]

BACKENDS: dict[str, Callable[[Settings], BlobStore]] = {
    "file": open_local_store,
    "s3": open_s3_store,
}
"""The scheme of LD_BLOB_URL, and what opens it."""


def open_store(settings: Settings) -> BlobStore:
    """
    The store of attachments of this deployment. Nothing is connected yet: a store that is down is met at its first use.

    Raises InvalidSetting for a URL that no backend speaks.
    """
    scheme = urlsplit(settings.blob_url).scheme
    if scheme not in BACKENDS:
        raise InvalidSetting(f"LD_BLOB_URL must start with one of {', '.join(name + ':' for name in BACKENDS)}")
    return BACKENDS[scheme](settings)
