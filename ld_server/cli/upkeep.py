"""The commands for whoever looks after a deployment: `migrate`, `rebuild`, `check` and `rebase`."""

import argparse
import dataclasses
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import orjson

from ld_server.bootstrap import BASE_IRI_FACT, build, now, prepare
from ld_server.cli.deployment import recorded_base, settings_of
from ld_server.domain.errors import ShapeViolation, StoreUnavailable
from ld_server.rdf.representation import serialized, triples_of
from ld_server.resources import KINDS
from ld_server.resources.attachment import ATTACHMENT
from ld_server.services import counters, index
from ld_server.services.graphs import differing
from ld_server.services.parts import Parts
from ld_server.services.waiting import lag_of
from ld_server.settings import InvalidSetting, Settings
from ld_server.supervisor.claims import claim_directory
from ld_server.supervisor.household import MANAGED, advice
from relational.documents import Authorship, Head
from relational.unit_of_work import UnitOfWork


def migrate(given: argparse.Namespace) -> int:
    """Prints the first admin key alone on standard output when it makes one."""
    settings = settings_of(given)
    key = prepare(settings)
    print("the ledger has the newest schema", file=sys.stderr)
    if key is not None:
        print("the first admin key, shown only this once:", file=sys.stderr)
        print(key)
    return 0


def rebuild_index(given: argparse.Namespace) -> int:
    with _parts(given) as parts:
        print(f"indexed {index.rebuild(parts.ledger)} documents")
    return 0


def rebuild_counters(given: argparse.Namespace) -> int:
    with _parts(given) as parts:
        print(f"counted the promises of {counters.rebuild(parts.ledger)} stock pools")
    return 0


def check(given: argparse.Namespace) -> int:
    """One line per question; the exit status is 1 when any answer is bad."""
    with _parts(given) as parts:
        answers = [_answer(question, parts) for question in QUESTIONS]
    for question, trouble, told in answers:
        print(f"{'BAD' if trouble else 'ok ':3}  {question:12} {told}")
    return 1 if any(trouble for _, trouble, _ in answers) else 0


def _answer(question: str, parts: Parts) -> tuple[str, bool, str]:
    try:
        trouble, told = QUESTIONS[question](parts)
    except StoreUnavailable as refusal:
        return question, True, str(refusal)
    return question, trouble, told


def _ledger(parts: Parts) -> tuple[bool, str]:
    parts.ledger.ping()
    return False, "is reachable"


def _sparql(parts: Parts) -> tuple[bool, str]:
    try:
        parts.sparql.ping()
    except StoreUnavailable as refusal:
        return True, f"{refusal}{advice(parts.settings) if parts.settings.sparql_url == MANAGED else ''}"
    return False, "is reachable"


def _index(parts: Parts) -> tuple[bool, str]:
    with parts.ledger.read() as uow:
        counts = {name: (uow.documents.count(name), uow.index.count(kind.table, ())) for name, kind in KINDS.items()}
    wrong = [f"{name}: {rows} rows for {documents} documents" for name, (documents, rows) in counts.items() if rows != documents]
    return bool(wrong), "; ".join(wrong) or f"has {sum(rows for _, rows in counts.values())} rows, one for each document"


def _counters(parts: Parts) -> tuple[bool, str]:
    wrong = counters.differing(parts.ledger)
    told = f"{len(wrong)} stock pools are counted wrong ({', '.join(wrong[:5])}); ld-server rebuild counters counts them anew"
    return bool(wrong), told if wrong else "are what the allocations add up to"


def _waiting(part: str) -> Callable[[Parts], tuple[bool, str]]:
    """Whether what waits in a part has been waiting for longer than it takes, and why that may be."""

    def answer(parts: Parts) -> tuple[bool, str]:
        lag = lag_of(parts, part)
        if lag.backlog.count == 0:
            return False, "nothing waits"
        return lag.is_long(parts.now()), f"{lag.told} ({lag.cause})"

    return answer


def _graphs(parts: Parts) -> tuple[bool, str]:
    """Revisions that wait for the projector are no fault; a graph of what is not there, or one that says something else, is."""
    strange = set(parts.sparql.graph_names())
    wrong: list[str] = []
    count = 0
    with parts.ledger.read() as uow:
        late = {identifier for _, identifier in uow.projections.pending(1_000_000)}
        strange -= {parts.naming.iri(identifier) for identifier in late}
        heads = (one for one in uow.documents.each(batch=BATCH) if one.identifier not in late)
        while some := list(islice(heads, BATCH)):
            strange -= {parts.naming.iri(head.identifier) for head in some}
            wrong += differing(some, parts)
            count += len(some)
    told = [f"{len(wrong)} differ from their documents ({', '.join(wrong[:5])})"] if wrong else []
    told += [f"{len(strange)} belong to nothing ({', '.join(sorted(strange)[:5])})"] if strange else []
    mended = "; ld-server rebuild graphs makes them equal"
    return bool(told), "; ".join(told) + mended if told else f"{count} are equal to their documents"


def _shapes(parts: Parts) -> tuple[bool, str]:
    """Every document against its shape and those of the operator, which may be younger than the document."""
    count, wrong = 0, []
    with parts.ledger.read() as uow:
        for head in uow.documents.each(batch=BATCH):
            count += 1
            wrong += _complaint(parts, head)
    more = f" and {len(wrong) - MOST_COMPLAINTS} more" if len(wrong) > MOST_COMPLAINTS else ""
    told = f"{len(wrong)} of {count} documents do not conform: {' '.join(wrong[:MOST_COMPLAINTS])}{more}"
    return bool(wrong), told if wrong else f"{count} documents conform"


def _complaint(parts: Parts, head: Head) -> list[str]:
    """What is wrong with a document, if anything."""
    triples, iri = triples_of(head.body, parts.contexts), parts.naming.iri(head.identifier)
    try:
        parts.validator.check(triples, iri, KINDS[head.kind].frame.shape)
    except ShapeViolation as refusal:
        return [f"{head.identifier} ({refusal.detail.rstrip('.')})"]
    return []


BATCH = 100
"""Documents that are in memory at a time."""

MOST_COMPLAINTS = 5
"""Documents of which is told what is wrong."""


def _attachments(parts: Parts) -> tuple[bool, str]:
    """Whether the bytes of every attachment are there, as many as it says; what belongs to nothing is swept and no fault."""
    sizes = {blob.key: blob.size for blob in parts.blobs.list("att-")}
    with parts.ledger.read() as uow:
        said = [orjson.loads(head.body) for head in uow.documents.each(ATTACHMENT.name, BATCH)]
    kept = [one for one in said if "deletedAt" not in one]
    wrong = [one["identifier"] for one in kept if sizes.get(one["storageKey"]) != one["byteSize"]]
    told = f"{len(wrong)} have lost their bytes ({', '.join(wrong[:5])})"
    return bool(wrong), told if wrong else f"{len(kept)} have their bytes"


QUESTIONS: dict[str, Callable[[Parts], tuple[bool, str]]] = {
    "ledger": _ledger,
    "index": _index,
    "counters": _counters,
    "SPARQL store": _sparql,
    "projection": _waiting("projection"),
    "relay": _waiting("relay"),
    "deliveries": _waiting("deliveries"),
    "graphs": _graphs,
    "shapes": _shapes,
    "attachments": _attachments,
}
"""What `check` asks: each gives whether something is wrong, and what it saw."""


def rebase_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="old", required=True, metavar="IRI", help="the base IRI the data was made for")
    parser.add_argument("--to", dest="new", required=True, metavar="IRI", help="the base IRI to serve it under from now on")


def rebase(given: argparse.Namespace) -> int:
    """
    Every resource gets a new revision that differs in its names alone; past revisions and events stay what they were.

    The graphs are emptied, and filled under their new names by the next worker.
    """
    settings = settings_of(given)
    old = dataclasses.replace(settings, base_iri=given.old)
    new = dataclasses.replace(settings, base_iri=given.new)
    claim_directory(settings.data_dir)
    if recorded_base(settings) != old.base_iri:
        raise InvalidSetting(f"this data was made for {recorded_base(settings)}, not for {old.base_iri}")
    with _opened(old) as parts:
        _empty_graphs(parts)
        with parts.ledger.write() as uow:
            count = _rename_all(uow, old.base_iri, new.base_iri)
    print(f"renamed {count} resources; start with LD_BASE_IRI={new.base_iri}")
    return 0


def _empty_graphs(parts: Parts) -> None:
    if parts.settings.sparql_url == MANAGED:
        shutil.rmtree(parts.settings.data_dir / "graphs", ignore_errors=True)
    else:
        parts.sparql.clear()


def _rename_all(uow: UnitOfWork, old: str, new: str) -> int:
    uow.facts.set(BASE_IRI_FACT, new)
    authorship = Authorship("ld-server rebase", now(), uuid.uuid4().hex)
    heads = [_renamed_head(head, old, new) for head in uow.documents.each()]
    for head in heads:
        uow.documents.replace(head, authorship)
    return len(heads)


def _renamed_head(head: Head, old: str, new: str) -> Head:
    body = serialized(renamed(orjson.loads(head.body), old, new))
    return dataclasses.replace(head, revision=head.revision + 1, body=body)


def renamed(value: Any, old: str, new: str) -> Any:
    """The JSON value with every string that is an IRI under `old` moved under `new`."""
    if isinstance(value, dict):
        return {key: renamed(one, old, new) for key, one in value.items()}
    if isinstance(value, list):
        return [renamed(one, old, new) for one in value]
    if isinstance(value, str) and (value == old or value.startswith((old + "/", old + "#"))):
        return new + value.removeprefix(old)
    return value


@contextmanager
def _parts(given: argparse.Namespace) -> Iterator[Parts]:
    with _opened(settings_of(given)) as parts:
        yield parts


@contextmanager
def _opened(settings: Settings) -> Iterator[Parts]:
    parts = build(settings)
    try:
        yield parts
    finally:
        parts.close()
