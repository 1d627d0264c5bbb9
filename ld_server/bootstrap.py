"""The one place where the parts of a running process are put together."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ld_server.blobs.store import open_store as open_blobs
from ld_server.domain.errors import StoreUnavailable
from ld_server.domain.scopes import Scope
from ld_server.rdf.contexts import Contexts
from ld_server.rdf.naming import Naming
from ld_server.rdf.operators import BrokenShapes, read_shapes
from ld_server.rdf.published import data_directory
from ld_server.rdf.validation import Validator
from ld_server.resources import PATHS
from ld_server.services import keys
from ld_server.services.addresses import allowed_by
from ld_server.services.meters import Meters
from ld_server.services.parts import Parts
from ld_server.services.sealing import Sealing
from ld_server.services.tokens import Tokens
from ld_server.settings import InvalidSetting, Settings
from ld_server.sparql.store import open_store
from relational.migrations import migrate
from relational.unit_of_work import UnitOfWork, open_ledger

BASE_IRI_FACT = "base_iri"


class WrongBase(Exception):
    """The data was made for another base IRI; the message names both and the command that rewrites them."""


def build(settings: Settings) -> Parts:
    """
    The parts of one process. Opens no connection yet; the ledger must have been prepared.

    Raises InvalidSetting for shapes of the operator that cannot be used, for what LD_WEBHOOK_ALLOW says that cannot
    be read, and for tokens that would be checked by halves.
    """
    allowed_by(settings)
    Tokens(settings)
    naming = Naming(settings.base_iri, PATHS)
    return Parts(
        settings=settings,
        ledger=open_ledger(settings.database_url, settings.database_pool),
        naming=naming,
        contexts=Contexts(data_directory("contexts"), settings.base_iri),
        validator=Validator([data_directory("shapes")], _shapes_of_the_operator(settings), naming),
        sparql=open_store(settings),
        blobs=open_blobs(settings),
        sealing=Sealing(settings),
        meters=Meters(metrics_directory(settings)),
        now=now,
    )


def metrics_directory(settings: Settings) -> Path:
    """Where the processes of a node count what they do."""
    return settings.data_dir / "run" / "metrics"


def _shapes_of_the_operator(settings: Settings) -> tuple[Any, ...]:
    if not settings.shapes_dir:
        return ()
    try:
        return read_shapes(Path(settings.shapes_dir).absolute())
    except BrokenShapes as error:
        raise InvalidSetting(f"LD_SHAPES_DIR: {error}") from None


def prepare(settings: Settings) -> str | None:
    """
    Makes the ledger ready: directory, schema, recorded base IRI and secret key, first admin key.

    Gives the text of the admin key if one was made, else None. Raises WrongBase when the data belongs to another base IRI,
    WrongSecretKey when its secrets belong to another key.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    ledger = open_ledger(settings.database_url, settings.database_pool)
    try:
        migrate(ledger.engine)
        with ledger.write() as uow:
            _settle_base(uow, settings)
            Sealing(settings).settle(uow)
            return _first_key(uow, settings)
    finally:
        ledger.close()


def join(settings: Settings) -> None:
    """
    Sees whether a process may join the others of its deployment, and whether its settings can be used at all.

    Raises what `build` raises, and WrongSecretKey when the others have another secret key. A ledger that is away now is not asked.
    """
    parts = build(settings)
    try:
        with suppress(StoreUnavailable), parts.ledger.read() as uow:
            parts.sealing.agree(uow)
    finally:
        parts.close()


def now() -> datetime:
    """The current instant in UTC."""
    return datetime.now(UTC)


def _settle_base(uow: UnitOfWork, settings: Settings) -> None:
    recorded = uow.facts.get(BASE_IRI_FACT)
    if recorded is None:
        uow.facts.set(BASE_IRI_FACT, settings.base_iri)
    elif recorded != settings.base_iri:
        raise WrongBase(
            f"this data was made for LD_BASE_IRI={recorded}, not {settings.base_iri}; start with that value, "
            f"or rewrite the data with: ld-server rebase --from {recorded} --to {settings.base_iri}"
        )


def _first_key(uow: UnitOfWork, settings: Settings) -> str | None:
    """The admin key of the settings, or a new one when there is no key at all."""
    if settings.admin_key:
        if uow.keys.by_hash(keys.hash_of(settings.admin_key)) is None:
            keys.add(uow, settings.admin_key, "admin (LD_ADMIN_KEY)", (Scope.ADMIN,), now())
        return None
    if uow.keys.all():
        return None
    text = keys.new_text()
    keys.add(uow, text, "admin", (Scope.ADMIN,), now())
    return text
