"""
The commands `backup` and `restore`: the ledger, the attachments and the secret key, as they were at one point.

The blobs are copied before the ledger and once more after it. So every attachment that the ledger has at its point has its bytes, but
for one that came and was deleted meanwhile; blobs beyond that belong to nothing, and are swept one day. The SPARQL store is not in a
backup: it is filled from the documents.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tarfile
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ld_server.blobs.port import NoBlob
from ld_server.blobs.secret import FILE as SECRET
from ld_server.bootstrap import BASE_IRI_FACT, build
from ld_server.cli.deployment import settings_of
from ld_server.resources.kind import written
from ld_server.services.exporting import GENERATION_FACT
from ld_server.services.parts import Parts
from ld_server.settings import InvalidSetting, Settings
from relational import dumps
from relational.unit_of_work import open_ledger

MANIFEST = "manifest.json"
BLOBS = "blobs"
FORMAT = 1
"""Of backups: another number is another way to write them."""


class BrokenBackup(Exception):
    """What is to be restored is no backup, or not whole; the message says which."""


# --- backup -----------------------------------------------------------------------------------------------------------


def backup_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", type=Path, metavar="TARGET", help="a directory that is not there yet, or a file that ends in .tar or .tar.gz"
    )


def backup(given: argparse.Namespace) -> int:
    """The backup is there under its name when it is complete, and not before."""
    settings, target = settings_of(given), given.target
    if target.exists():
        raise InvalidSetting(f"{target} is there already")
    target.parent.mkdir(parents=True, exist_ok=True)
    parts = build(settings)
    try:
        parts.ledger.ping()
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as draft:
            manifest = _written(parts, Path(draft) / "backup")
            _put(Path(draft) / "backup", target)
    finally:
        parts.close()
    print(f"backed up {len(manifest['files'])} files to {target}, as of {manifest['madeAt']}")
    if not manifest["hasSecretKey"]:
        print("LD_SECRET_KEY is not in it: keep it elsewhere, or the secrets of webhooks are lost", file=sys.stderr)
    return 0


def _written(parts: Parts, directory: Path) -> dict[str, Any]:
    """Writes everything into a directory; what the manifest says."""
    (directory / BLOBS).mkdir(parents=True)
    _copy_blobs(parts, directory / BLOBS)
    made_at = written(parts.now())
    version = dumps.dump(parts.ledger.engine, directory)
    _copy_blobs(parts, directory / BLOBS)
    has_secret = _copy_secret(parts.settings, directory)
    files = {str(one.relative_to(directory)): _sum(one) for one in sorted(directory.rglob("*")) if one.is_file()}
    manifest = {
        "format": FORMAT,
        "madeAt": made_at,
        "baseIri": _recorded_base(parts),
        "engine": parts.ledger.engine.dialect.name,
        "schema": version,
        "hasSecretKey": has_secret,
        "files": files,
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1))
    return manifest


def _recorded_base(parts: Parts) -> str:
    """The base IRI that the data was made for, whatever this command was told."""
    with parts.ledger.read() as uow:
        return uow.facts.get(BASE_IRI_FACT) or parts.settings.base_iri


def _copy_blobs(parts: Parts, directory: Path) -> None:
    """Those that are not there yet. One that is deleted while it is copied belongs to no attachment any more."""
    for blob in list(parts.blobs.list()):
        file = directory / blob.key
        if file.exists():
            continue
        try:
            with file.open("wb") as stream:
                stream.writelines(parts.blobs.get(blob.key))
        except NoBlob:
            file.unlink()


def _copy_secret(settings: Settings, directory: Path) -> bool:
    file = settings.data_dir / SECRET
    if settings.secret_key or not file.exists():
        return False
    shutil.copy2(file, directory / SECRET)
    return True


def _sum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _put(draft: Path, target: Path) -> None:
    if not _is_archive(target):
        draft.rename(target)
        return
    packed = draft.with_name("packed")
    with tarfile.open(packed, "w:gz" if target.name.endswith(".gz") else "w") as archive:
        archive.add(draft, ".")
    packed.rename(target)


def _is_archive(path: Path) -> bool:
    return path.name.endswith((".tar", ".tar.gz"))


# --- restore ----------------------------------------------------------------------------------------------------------


def restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SOURCE", help="what backup has written")


def restore(given: argparse.Namespace) -> int:
    """Nothing is changed before every file of the backup has been found whole, and every store empty."""
    settings = settings_of(given)
    with _unpacked(given.source) as directory:
        manifest = _verified(directory)
        parts = build(settings)
        try:
            _refuse_other_engine(parts, manifest)
            _refuse_what_is_there(parts)
            _fill(parts, directory, manifest)
        finally:
            parts.close()
    print(f"restored everything as of {manifest['madeAt']}; start with LD_BASE_IRI={manifest['baseIri']}")
    return 0


@contextmanager
def _unpacked(source: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory() as directory:
        try:
            with tarfile.open(source) as archive:
                archive.extractall(directory, filter="data")
        except (OSError, tarfile.TarError) as error:
            raise BrokenBackup(f"{source} is no backup: {error}") from None
        yield Path(directory)


def _verified(directory: Path) -> dict[str, Any]:
    """What the manifest says. Raises BrokenBackup unless every file is there as it was written."""
    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_text())
        files = manifest["files"]
    except (OSError, ValueError, KeyError):
        raise BrokenBackup(f"{directory} is no backup: it has no manifest that can be read") from None
    if manifest["format"] != FORMAT:
        raise BrokenBackup(f"the backup has format {manifest['format']}, and this version reads {FORMAT}")
    wrong = [name for name, told in files.items() if not (directory / name).is_file() or _sum(directory / name) != told]
    if wrong:
        raise BrokenBackup(f"{len(wrong)} files of the backup are missing or damaged: {', '.join(wrong[:5])}")
    return manifest


def _refuse_other_engine(parts: Parts, manifest: dict[str, Any]) -> None:
    engine = parts.ledger.engine.dialect.name
    if manifest["engine"] != engine:
        raise InvalidSetting(
            f"the backup is of {manifest['engine']}, and LD_DATABASE_URL names {engine}; export and load go from one to the other"
        )


def _refuse_what_is_there(parts: Parts) -> None:
    settings = parts.settings
    if not dumps.is_empty(parts.ledger.engine):
        raise InvalidSetting("the ledger is not empty: restore into a new one")
    if next(iter(parts.blobs.list()), None) is not None:
        raise InvalidSetting("LD_BLOB_URL is not empty: restore into an empty one")
    if (settings.data_dir / SECRET).exists():
        raise InvalidSetting(f"{settings.data_dir} has a secret key of its own: restore into an empty one")


def _fill(parts: Parts, directory: Path, manifest: dict[str, Any]) -> None:
    """The ledger comes last: where it is, everything is."""
    settings = parts.settings
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if manifest["hasSecretKey"]:
        shutil.copy2(directory / SECRET, settings.data_dir / SECRET)
    for file in sorted((directory / BLOBS).iterdir()):
        with file.open("rb") as stream:
            parts.blobs.put(file.name, iter(lambda: stream.read(_PIECE), b""), "application/octet-stream")
    dumps.load(parts.ledger.engine, directory, manifest["schema"])
    _begin_anew(settings)


_PIECE = 256 * 1024


def _begin_anew(settings: Settings) -> None:
    """Exports from before know nothing of this data, and the SPARQL store has none of it."""
    ledger = open_ledger(settings.database_url, settings.database_pool)
    try:
        with ledger.write() as uow:
            uow.facts.set(GENERATION_FACT, uuid.uuid4().hex)
            uow.projections.enqueue_all()
    finally:
        ledger.close()
