"""Files and entries of a log as people look at them beside a resource: pictures small, what was done in one glance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ld_server.http.pages import words
from ld_server.http.pages.values import Gallery, Value
from ld_server.services.exhibits import Exhibits

Document = Mapping[str, Any]


@dataclass(frozen=True)
class File:
    """A file: where there is more about it, its small picture if it has one, when it was taken or attached."""

    name: str
    href: str | None
    thumbnail: str | None
    ending: str
    when: Value
    size: str


@dataclass(frozen=True)
class Entry:
    """An entry of a log. `kind` and `outcome` are words, `when` the time at which the work was done; `planned` is from when until when."""

    summary: str
    href: str | None
    kind: Value
    outcome: Value | None
    who: str
    when: Value | None
    planned: tuple[Value, ...]
    following: str
    details: str
    corrects: Value | None
    corrected_by: Value | None
    endangers: tuple[Value, ...]
    files: tuple[File, ...]


@dataclass(frozen=True)
class Showcase:
    """Everything beside one resource. `files` are its own; those of the entries stand with these."""

    files: tuple[File, ...]
    entries: tuple[Entry, ...]
    has_more_files: bool
    has_more_entries: bool


def showcase(exhibits: Exhibits, identifier: str, gallery: Gallery) -> Showcase:
    """The exhibits beside the resource of this identifier; the entries by the time of the work, the latest first."""
    files: dict[str, list[File]] = {}
    for one in exhibits.files:
        files.setdefault(one["ownerId"], []).append(_file(one, gallery))
    corrections = {one["corrects"]["identifier"]: one for one in exhibits.entries if "corrects" in one}
    ordered = sorted(exhibits.entries, key=_time_of_work, reverse=True)
    entries = tuple(_entry(one, corrections.get(one["identifier"]), files.get(one["identifier"], ()), gallery) for one in ordered)
    return Showcase(tuple(files.get(identifier, ())), entries, exhibits.has_more_files, exhibits.has_more_entries)


def _time_of_work(entry: Document) -> str:
    """Times are kept in UTC, in one spelling."""
    return str(entry.get("performedAt") or entry["plannedStart"])


def _file(document: Document, gallery: Gallery) -> File:
    thumbnail = document.get("thumbnailUrl")
    return File(
        name=document["fileName"],
        href=gallery.places.href(document["@id"]),
        thumbnail=gallery.places.href(thumbnail) if thumbnail else None,
        ending=PurePath(document["fileName"]).suffix.removeprefix(".").upper()[:5],
        when=gallery.value(document.get("takenAt") or document["createdAt"], "createdAt"),
        size=words.size(document["byteSize"]),
    )


def _entry(document: Document, correction: Document | None, files: Sequence[File], gallery: Gallery) -> Entry:
    is_done = "performedAt" in document
    corrected = {"@id": correction["@id"], "identifier": correction["identifier"], "name": correction["summary"]} if correction else None
    return Entry(
        summary=document["summary"],
        href=gallery.places.href(document["@id"]),
        kind=gallery.value(document["kind"], "kind"),
        outcome=_outcome(document),
        who=document["performedBy"] if is_done else "",
        when=gallery.value(document["performedAt"], "performedAt") if is_done else None,
        planned=tuple(gallery.value(document[key], key) for key in ("plannedStart", "plannedEnd") if key in document),
        following=words.NEXT_ACTIONS.get(document.get("nextAction", ""), ""),
        details=document.get("details", ""),
        corrects=gallery.value(document["corrects"]) if "corrects" in document else None,
        corrected_by=gallery.value(corrected) if corrected else None,
        endangers=tuple(gallery.value(one) for one in document.get("endangers", ())),
        files=tuple(files),
    )


def _outcome(document: Document) -> Value | None:
    said = document.get("outcome") or ("" if "performedAt" in document else "planned")
    return Value("word", words.OUTCOMES[said], exact=said) if said else None
