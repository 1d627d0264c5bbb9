"""The commands by which data leaves and enters: `export` and `load`."""

import argparse
import gzip
import hashlib
import io
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from ld_server.bootstrap import build
from ld_server.cli.deployment import settings_of
from ld_server.cli.preparing import Prepared, Told, kind_of, prepared, told
from ld_server.domain.commands import Document
from ld_server.domain.errors import Duplicate, Refusal, StoreUnavailable
from ld_server.rdf import datasets
from ld_server.rdf.datasets import Graph
from ld_server.rdf.formats import FORMATS, Format
from ld_server.rdf.naming import Naming
from ld_server.rdf.pieces import Piece, Sorting, pieces
from ld_server.resources import KINDS, PATHS, POSTED
from ld_server.services import exporting, loading
from ld_server.services.exporting import Export, Wanted
from ld_server.services.occasion import Occasion
from ld_server.services.parts import Parts
from ld_server.settings import InvalidSetting
from relational.allocations import DoubleBooking
from relational.bulk import Collision, write_much

BY_KEY = {form.key: form for form in FORMATS}
BY_EXTENSION: dict[str, Format] = {
    **{form.extension: form for form in FORMATS},
    "ndjson": BY_KEY["json"],
    "jsonl": BY_KEY["json"],
    "xml": BY_KEY["rdfxml"],
}
"""How a file is read, by the end of its name; `.gz` may follow."""


# --- export -----------------------------------------------------------------------------------------------------------


def export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=BY_KEY, default="nquads", help="syntax (nquads)")
    parser.add_argument("--output", metavar="FILE", default="-", help="file to write, compressed when it ends in .gz (standard output)")
    parser.add_argument("--type", metavar="KINDS", help="kinds or classes, separated by commas (everything)")
    parser.add_argument("--since", metavar="PLACE", help="an instant, or what an earlier export told: only what has changed since")
    parser.add_argument("--until", metavar="PLACE", help="the same: only what has not changed since")
    parser.add_argument("--location", metavar="PLACE", help="only what is at this location")


def export(given: argparse.Namespace) -> int:
    """The file is there under its name when it is complete, and not before. Where the next export goes on is told on standard error."""
    with _parts(given) as parts:
        content = Export(parts.ledger, _wanted(given), parts.naming)
        graphs = ([Graph(one.iri, one.body) for one in batch] for batch in content.batches())
        with _written_to(given.output) as file:
            for piece in datasets.written(graphs, BY_KEY[given.format], parts.contexts):
                file.write(piece)
    print(f"exported {content.count} resources; the next export goes on with --since {content.following}", file=sys.stderr)
    return 0


def _wanted(given: argparse.Namespace) -> Wanted:
    return Wanted(
        kinds=exporting.kinds_of(given.type) if given.type else exporting.EVERYTHING.kinds,
        since=exporting.place_of(given.since, "--since") if given.since else None,
        until=exporting.place_of(given.until, "--until") if given.until else None,
        location=given.location,
    )


@contextmanager
def _written_to(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdout.buffer
        return
    part = Path(f"{name}.part")
    with part.open("wb") as plain, gzip.open(plain, "wb") if name.endswith(".gz") else nullcontext(plain) as file:
        yield file  # type: ignore[misc]
    part.replace(name)


# --- load -------------------------------------------------------------------------------------------------------------


def load_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="files, or directories of them, in any syntax; .gz too")
    parser.add_argument("--type", choices=POSTED, default="", help="kind of new resources that do not say their class")
    parser.add_argument("--from", dest="old", default="", metavar="IRI", help="base IRI under which an export was made, if it is not ours")
    parser.add_argument("--report", type=Path, metavar="FILE", help="what was refused and why, a JSON object a line (load-report.jsonl)")
    parser.add_argument("--again", action="store_true", help="load what was loaded before once more")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="processes that check (one for each core)")


def load(given: argparse.Namespace) -> int:
    """The exit status is 1 when anything was refused."""
    files = list(_files(given.files))
    with _parts(given) as parts:
        parts.ledger.ping()
        tally = Tally()
        with _report(given.report or Path("load-report.jsonl"), tally) as report:
            for file in files:
                Loading(parts, given, file, tally, report).run()
    print(tally.sentence)
    return 1 if tally.refused else 0


@dataclass
class Tally:
    """What became of everything."""

    added: int = 0
    same: int = 0
    refused: int = 0
    report: str = ""
    started: float = field(default_factory=time.monotonic)

    @property
    def sentence(self) -> str:
        rate = self.added / max(time.monotonic() - self.started, 0.001)
        refused = f"{self.refused} were refused ({self.report})" if self.refused else "none was refused"
        return f"{self.added} resources were added ({rate:.0f}/s), {self.same} were there already, {refused}"


class Report:
    """The file that tells what was refused; made with its first line."""

    def __init__(self, path: Path, tally: Tally) -> None:
        self._path, self._tally = path, tally
        self._file: IO[str] | None = None

    def add(self, file: Path, told: Sequence[Told]) -> None:
        for one in told:
            if self._file is None:
                self._file = self._path.open("w", encoding="utf-8")
                self._tally.report = str(self._path)
            self._file.write(json.dumps({"file": str(file), **one}, ensure_ascii=False, default=str) + "\n")
            self._tally.refused += 1

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


@contextmanager
def _report(path: Path, tally: Tally) -> Iterator[Report]:
    report = Report(path, tally)
    try:
        yield report
    finally:
        report.close()


def _files(given: Sequence[Path]) -> Iterator[Path]:
    """Files as they are named, those in directories by name. Raises InvalidSetting for one that cannot be read."""
    for path in given:
        if path.is_dir():
            yield from (one for one in sorted(path.rglob("*")) if one.is_file() and _extension(one) in BY_EXTENSION)
        elif not path.is_file():
            raise InvalidSetting(f"{path} is no file")
        elif _extension(path) not in BY_EXTENSION:
            raise InvalidSetting(f"{path}: the name must end in .{', .'.join(BY_EXTENSION)}, and .gz may follow")
        else:
            yield path


def _extension(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[2].lower()


class Loading:
    """
    One file on its way in.

    How far it is stands in the ledger, written with each piece: `done` pieces need not be looked at again, and of new resources `made`
    are there. An interrupted load goes on from there when the same file is loaded again; one that was finished is passed over.
    """

    def __init__(self, parts: Parts, given: argparse.Namespace, file: Path, tally: Tally, report: Report) -> None:
        self._parts, self._given, self._file, self._tally, self._report = parts, given, file, tally, report
        self._fact = f"load:{_digest(file)}"
        self._old = Naming(given.old.rstrip("/"), PATHS) if given.old else parts.naming
        self._waiting: list[Document] = []

    def run(self) -> None:
        """Raises MalformedBody where the file cannot be read on; what was read before is there."""
        state = self._state()
        if state["finished"] and not self._given.again:
            print(f"{self._file} was loaded before; --again loads it once more", file=sys.stderr)
            return
        state = {"done": 0, "made": 0, "finished": False} if state["finished"] else state
        with _opened(self._file) as (stream, progress):
            every = enumerate(pieces(stream, BY_EXTENSION[_extension(self._file)], self._sorting))
            left = ((number, piece) for number, piece in every if not self._is_done(number, piece, state))
            ahead = prepared(left, self._parts.settings, self._given.old.rstrip("/"), self._given.processes)
            for (number, piece), one in ahead:
                self._report.add(self._file, one.refused)
                self._store(number, piece, one, state)
                progress(self._tally)
        self._settle()
        self._note({**state, "finished": True})

    @property
    def _sorting(self) -> Sorting:
        return Sorting(self._is_resource, lambda classes: kind_of(classes, self._given.type), self._parts.contexts)

    def _is_resource(self, iri: str) -> bool:
        """Whether an IRI is the name of a resource under the base of the file. Raises InvalidSetting where it is one under another base."""
        identifier = iri.rpartition("/")[2]
        if self._old.parse(identifier) is None or "#" in iri:
            return False
        if self._old.iri(identifier) == iri:
            return True
        path = self._old.iri(identifier).removeprefix(self._old.base_iri)
        if iri.endswith(path):
            raise InvalidSetting(f"{self._file} has names under {iri.removesuffix(path)}; say --from {iri.removesuffix(path)}")
        return False

    def _is_done(self, number: int, piece: Piece, state: dict[str, Any]) -> bool:
        reached: int = state["made"] if piece.kind else state["done"]
        return number < reached

    def _store(self, number: int, piece: Piece, one: Prepared, state: dict[str, Any]) -> None:
        if piece.kind:
            state["made"] = number + 1
            self._make(piece.kind, one, state)
        else:
            state["done"] = number + 1 if not self._waiting else state["done"]
            self._restore([document for _, document in one.documents], state)

    # --- what is new ---------------------------------------------------------------------------------------------------

    def _make(self, kind: str, one: Prepared, state: dict[str, Any]) -> None:
        if kind not in loading.IN_BULK:
            self._make_each(kind, one, state)
            return
        with write_much(self._parts.ledger) as uow:
            made = loading.make(uow, KINDS[kind], [document for _, document in one.documents], self._occasion())
            uow.facts.set(self._fact, json.dumps(state))
        refused = [told(name, head) for (name, _), head in zip(one.documents, made, strict=True) if isinstance(head, Refusal)]
        self._report.add(self._file, refused)
        self._tally.added += len(made) - len(refused)

    def _make_each(self, kind: str, one: Prepared, state: dict[str, Any]) -> None:
        """What may change others on its way in has a transaction of its own."""
        for name, document in one.documents:
            try:
                with self._parts.ledger.write() as uow:
                    loading.make_one(uow, KINDS[kind], document, self._occasion())
                self._tally.added += 1
            except StoreUnavailable:
                raise
            except Refusal as refusal:
                self._report.add(self._file, [told(name, refusal)])
        self._note(state)

    # --- what comes back -----------------------------------------------------------------------------------------------

    def _restore(self, documents: Sequence[Document], state: dict[str, Any]) -> None:
        """A piece at once; where it cannot be, each resource alone, so that one does not keep the others out."""
        try:
            self._restore_at_once(documents, state)
        except (DoubleBooking, Collision) as error:
            if len(documents) == 1:
                self._report.add(self._file, [told(documents[0]["identifier"], _clash(error))])
                return
            for document in documents:
                self._restore([document], state)

    def _restore_at_once(self, documents: Sequence[Document], state: dict[str, Any]) -> None:
        with write_much(self._parts.ledger) as uow:
            outcome = loading.restore(uow, documents, self._occasion())
            if not (self._waiting or outcome.waiting):
                uow.facts.set(self._fact, json.dumps(state))
        self._waiting += outcome.waiting
        self._tally.added += outcome.added
        self._tally.same += outcome.same
        self._report.add(self._file, [told(name, refusal) for name, refusal in outcome.refused])

    def _settle(self) -> None:
        """What waited for others comes now, as long as any of it can; the rest is refused."""
        while self._waiting:
            waiting, self._waiting = self._waiting, []
            self._restore(waiting, {"done": 0, "made": 0, "finished": False})
            if len(self._waiting) == len(waiting):
                break
        with self._parts.ledger.read() as uow:
            self._report.add(self._file, [told(one["identifier"], loading.unresolved(uow, one)) for one in self._waiting])

    # --- how far it is -------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        with self._parts.ledger.read() as uow:
            text = uow.facts.get(self._fact)
        return json.loads(text) if text else {"done": 0, "made": 0, "finished": False}

    def _note(self, state: dict[str, Any]) -> None:
        with self._parts.ledger.write() as uow:
            uow.facts.set(self._fact, json.dumps(state))

    def _occasion(self) -> Occasion:
        return loading.occasion_of(self._parts)


def _clash(error: Exception) -> Refusal:
    if isinstance(error, DoubleBooking):
        return Duplicate("A unit of it is promised to another reservation at the same time.")
    return Duplicate("It does not go together with what is there.")


# --- files ------------------------------------------------------------------------------------------------------------


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _opened(file: Path) -> Iterator[tuple[IO[bytes], Callable[[Tally], None]]]:
    """The bytes of the file as they were before they were compressed, and what shows how far it has been read."""
    size = max(file.stat().st_size, 1)
    with file.open("rb") as plain:
        stream: Any = gzip.open(plain) if file.name.endswith(".gz") else plain  # noqa: SIM115  (closed with the file below it)

        def progress(tally: Tally) -> None:
            if sys.stderr.isatty():
                print(_bar(file.name, plain.tell() / size, tally), end="\r", file=sys.stderr, flush=True)

        yield io.BufferedReader(stream, _READ_AT_ONCE) if stream is not plain else plain, progress
        if sys.stderr.isatty():
            print(file=sys.stderr)


_READ_AT_ONCE = 1024 * 1024
_BAR = 30


def _bar(name: str, share: float, tally: Tally) -> str:
    full = int(share * _BAR)
    return f"{name} [{'=' * full}{' ' * (_BAR - full)}] {share:4.0%}  {tally.sentence}"


@contextmanager
def _parts(given: argparse.Namespace) -> Iterator[Parts]:
    parts = build(settings_of(given))
    try:
        yield parts
    finally:
        parts.close()
