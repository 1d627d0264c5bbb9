"""Every setting of the service: its environment variable, its default and one sentence. Nothing else reads the environment."""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LONGEST_URL = 8190
"""Bytes of a request line that the web server reads."""


LONGEST_LIST = 500
"""Lines of a reservation that its shape allows."""


class InvalidSetting(ValueError):
    """A setting has a value that cannot be used; the message names the variable."""


def setting(variable: str, default: Any, sentence: str, secret: bool = False) -> Any:
    """A field of Settings: the environment variable, its default, and the sentence that documents it. Secrets are not in its repr."""
    return field(default=default, repr=not secret, metadata={"variable": variable, "sentence": sentence, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """The deployment, frozen. `Settings.from_environment` reads it; tests build it directly."""

    base_iri: str = setting("LD_BASE_IRI", "http://localhost:8000", "Where resource IRIs are minted; recorded at first start.")
    data_dir: Path = setting("LD_DATA_DIR", Path("data"), "Directory of the embedded stores, keys and run files.")
    host: str = setting("LD_HOST", "127.0.0.1", "Address the web server listens on.")
    port: int = setting("LD_PORT", 8000, "Port the web server listens on.")
    server: str = setting("LD_SERVER", "gunicorn", "Web server: gunicorn, or granian, which is an extra and answers faster.")
    web_workers: int = setting("LD_WEB_WORKERS", 2, "Number of web server processes.")
    web_threads: int = setting("LD_WEB_THREADS", 4, "Number of threads in each web server process.")
    tenant: str = setting("LD_TENANT", "default", "Fills meta.tenant of every event.")
    database_url: str = setting(
        "LD_DATABASE_URL", "", "SQLAlchemy URL of the ledger; empty means SQLite in the data directory.", secret=True
    )
    database_pool: int = setting("LD_DATABASE_POOL", 8, "Connections each process keeps to Postgres.")
    sparql_url: str = setting(
        "LD_SPARQL_URL",
        "managed:",
        "SPARQL store: managed:, memory:, the query URL of a SPARQL 1.1 server, or virtuoso+ and its URL.",
        secret=True,
    )
    sparql_update_url: str = setting("LD_SPARQL_UPDATE_URL", "", "SPARQL update URL when it differs from the query URL.", secret=True)
    sparql_graph_store_url: str = setting(
        "LD_SPARQL_GRAPH_STORE_URL", "", "Graph Store Protocol URL when the server has one to be used.", secret=True
    )
    sparql_timeout: float = setting("LD_SPARQL_TIMEOUT", 10.0, "Seconds after which a SPARQL query is given up.")
    sparql_max_rows: int = setting("LD_SPARQL_MAX_ROWS", 100_000, "Most rows or triples a SPARQL query may answer.")
    sparql_max_bytes: int = setting("LD_SPARQL_MAX_BYTES", 64 * 1024 * 1024, "Most bytes a SPARQL answer may have.")
    sparql_queries: int = setting(
        "LD_SPARQL_QUERIES",
        3,
        "Most SPARQL queries that a web server process asks at once; with event streams they leave a thread for others.",
    )
    sparql_memory: int = setting(
        "LD_SPARQL_MEMORY",
        2 * 1024**3,
        "Bytes of memory that the managed SPARQL server may have before it is started again; 0 means any number.",
    )
    sparql_wait: float = setting("LD_SPARQL_WAIT", 5.0, "Seconds a query waits for the projector to apply what was committed before it.")
    blob_url: str = setting("LD_BLOB_URL", "", "Where attachments are kept; empty means files in the data directory.", secret=True)
    blob_endpoint: str = setting(
        "LD_BLOB_ENDPOINT", "", "URL of an S3 that is not Amazon's, such as a MinIO; empty means Amazon's.", secret=True
    )
    secret_key: str = setting(
        "LD_SECRET_KEY",
        "",
        "Seals secrets of webhooks and signs links to attachments; empty means one that is made once and kept in the data directory.",
        secret=True,
    )
    attachment_max_bytes: int = setting("LD_ATTACHMENT_MAX_BYTES", 2 * 1024**3, "Largest attachment in bytes.")
    attachment_types: str = setting(
        "LD_ATTACHMENT_TYPES",
        "image/jpeg, image/png, image/webp, image/gif, application/pdf, video/mp4, video/quicktime, video/webm, text/plain, text/csv",
        "Media types that may be attached, separated by commas; image/* means every picture.",
    )
    attachment_position: str = setting(
        "LD_ATTACHMENT_POSITION", "strip", "What becomes of the position in a picture, where it was taken: strip or keep."
    )
    attachment_link_seconds: int = setting("LD_ATTACHMENT_LINK_SECONDS", 3600, "Seconds for which a link to upload or download works.")
    attachment_draft_hours: float = setting(
        "LD_ATTACHMENT_DRAFT_HOURS", 24.0, "Hours after which an attachment that was initiated and never completed is forgotten."
    )
    huey_url: str = setting("LD_HUEY_URL", "", "Where Huey keeps its queue; empty means SQLite in the data directory.", secret=True)
    admin_key: str = setting(
        "LD_ADMIN_KEY", "", "The first admin key; when empty the first start makes one and prints it once.", secret=True
    )
    jwt_jwks: str = setting(
        "LD_JWT_JWKS", "", "File or URL of the public keys (JWKS) that tokens are checked with; empty means none.", secret=True
    )
    jwt_secret: str = setting(
        "LD_JWT_SECRET", "", "Secret that tokens with HS256 are checked with, at least 32 bytes; empty means none.", secret=True
    )
    jwt_issuer: str = setting("LD_JWT_ISSUER", "", "Who issues tokens: their claim iss; needed where tokens are taken.")
    jwt_audience: str = setting("LD_JWT_AUDIENCE", "", "Whom tokens are for: their claim aud has it; needed where tokens are taken.")
    jwt_leeway: float = setting("LD_JWT_LEEWAY", 30.0, "Seconds by which the clock of the issuer may be wrong.")
    allocation_policy: str = setting(
        "LD_ALLOCATION_POLICY", "hard_fail", "What approval does when units are missing: hard_fail or allow_under_allocation."
    )
    rate_limit: int = setting(
        "LD_RATE_LIMIT", 30_000, "Requests that a principal may make in a minute of each web server process; 0 means any number."
    )
    rate_limit_address: int = setting(
        "LD_RATE_LIMIT_ADDRESS", 6000, "Requests without a key that an address may make in a minute of each process; 0 means any number."
    )
    failed_keys: int = setting(
        "LD_FAILED_KEYS", 60, "Keys that are none which an address may try in a minute of each process; 0 means any number."
    )
    trusted_proxies: str = setting(
        "LD_TRUSTED_PROXIES", "", "Addresses and networks, separated by commas, of proxies whose X-Forwarded-For is believed."
    )
    cors_origins: str = setting(
        "LD_CORS_ORIGINS", "", "Sites, separated by commas, whose pages may ask with a key: origins such as https://fleet.example.org."
    )
    request_seconds: float = setting(
        "LD_REQUEST_SECONDS",
        20.0,
        "Seconds in which a request must arrive and each piece of its answer be taken; 16 KiB/s more.",
    )
    max_url_bytes: int = setting("LD_MAX_URL_BYTES", 8190, "Longest request line in bytes; 8190 at most.")
    max_headers: int = setting("LD_MAX_HEADERS", 100, "Most header fields of a request.")
    max_header_bytes: int = setting("LD_MAX_HEADER_BYTES", 8190, "Longest header field of a request in bytes.")
    four_eyes: str = setting("LD_FOUR_EYES", "off", "Whether nobody may approve a reservation that they made or are to get: on or off.")
    capacity_rule: str = setting("LD_CAPACITY_RULE", "overlap", "How a window uses a pool: overlap or peak.")
    search_horizon_days: int = setting("LD_SEARCH_HORIZON_DAYS", 366, "Days ahead in which a free window is searched.")
    max_body_bytes: int = setting("LD_MAX_BODY_BYTES", 4 * 1024 * 1024, "Largest request body in bytes.")
    max_json_depth: int = setting("LD_MAX_JSON_DEPTH", 64, "Deepest nesting of a JSON or XML body.")
    max_triples: int = setting("LD_MAX_TRIPLES", 50_000, "Most statements one request may bring.")
    max_resources: int = setting("LD_MAX_RESOURCES", 1000, "Most resources one request may create.")
    max_lines: int = setting("LD_MAX_LINES", LONGEST_LIST, f"Most lines of a reservation; {LONGEST_LIST} at most.")
    shapes_dir: str = setting("LD_SHAPES_DIR", "", "Directory of your own SHACL shapes (*.ttl), asked besides ours; empty means none.")
    streams: int = setting("LD_STREAMS", 2, "Most event streams that a web server process has open; two threads are left for others.")
    stream_seconds: float = setting(
        "LD_STREAM_SECONDS", 300.0, "Seconds after which an event stream ends; its reader comes back by itself."
    )
    idempotency_hours: float = setting("LD_IDEMPOTENCY_HOURS", 24.0, "Hours an Idempotency-Key is remembered.")
    projector_interval: float = setting("LD_PROJECTOR_INTERVAL", 0.02, "Seconds between two looks of the projector at the ledger.")
    projector_batch: int = setting("LD_PROJECTOR_BATCH", 200, "Most revisions the projector applies in one go.")
    projector_lease: float = setting("LD_PROJECTOR_LEASE", 4.0, "Seconds a projector may be silent before another takes over.")
    webhook_allow: str = setting(
        "LD_WEBHOOK_ALLOW", "", "Hosts, addresses and networks, separated by commas, that webhooks may lead to though they are not public."
    )
    inventree_url: str = setting(
        "LD_INVENTREE_URL", "", "The InvenTree server that build requests are handed to; empty means none.", secret=True
    )
    inventree_token: str = setting("LD_INVENTREE_TOKEN", "", "The token for it.", secret=True)
    webhook_timeout: float = setting("LD_WEBHOOK_TIMEOUT", 15.0, "Seconds a receiver has to answer, everything included.")
    relay_interval: float = setting("LD_RELAY_INTERVAL", 0.02, "Seconds between two looks of the relay at the events.")
    relay_batch: int = setting("LD_RELAY_BATCH", 200, "Most events the relay matches in one go.")
    relay_lease: float = setting("LD_RELAY_LEASE", 4.0, "Seconds a relay may be silent before another takes over.")
    delivery_interval: float = setting("LD_DELIVERY_INTERVAL", 0.1, "Seconds between two looks of a worker at the deliveries that are due.")
    deliveries_at_once: int = setting("LD_DELIVERIES_AT_ONCE", 64, "Most deliveries that a worker has under way.")
    delivery_lease: float = setting("LD_DELIVERY_LEASE", 60.0, "Seconds after which another worker takes over what a worker was sending.")
    event_days: float = setting("LD_EVENT_DAYS", 400.0, "Days for which an event is kept, with its deliveries; 0 means for ever.")
    run_days: float = setting("LD_RUN_DAYS", 90.0, "Days for which a run of a schedule is kept; 0 means for ever.")
    run_lease: float = setting("LD_RUN_LEASE", 60.0, "Seconds after which another worker takes over what a schedule set going.")
    log_level: str = setting("LD_LOG_LEVEL", "INFO", "Least severe level that is logged.")

    def __post_init__(self) -> None:
        object.__setattr__(self, "base_iri", self.base_iri.rstrip("/"))
        object.__setattr__(self, "data_dir", Path(self.data_dir).absolute())
        defaults = {
            "database_url": f"sqlite:///{self.data_dir}/ledger.db",
            "blob_url": f"file://{self.data_dir}/blobs",
            "huey_url": f"sqlite:///{self.data_dir}/huey.db",
        }
        for name, value in defaults.items():
            object.__setattr__(self, name, getattr(self, name) or value)
        self._refuse_impossible_values()

    def _refuse_impossible_values(self) -> None:
        if not self.base_iri.startswith(("http://", "https://")):
            raise InvalidSetting("LD_BASE_IRI must be an absolute http or https IRI")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise InvalidSetting(f"{variable_of(name)} must be one of {', '.join(allowed)}")
        if min(self.rate_limit, self.rate_limit_address, self.failed_keys) < 0:
            raise InvalidSetting("LD_RATE_LIMIT, LD_RATE_LIMIT_ADDRESS and LD_FAILED_KEYS must not be negative")
        if self.max_url_bytes > LONGEST_URL:
            raise InvalidSetting(f"LD_MAX_URL_BYTES must be at most {LONGEST_URL}")
        if self.max_lines > LONGEST_LIST:
            raise InvalidSetting(f"LD_MAX_LINES must be at most {LONGEST_LIST}")
        if self.webhook_timeout >= self.delivery_lease:
            raise InvalidSetting("LD_DELIVERY_LEASE must be longer than LD_WEBHOOK_TIMEOUT, or nothing could be sent")
        for name in _POSITIVE:
            if getattr(self, name) <= 0:
                raise InvalidSetting(f"{variable_of(name)} must be greater than zero")
        for name in _NOT_NEGATIVE:
            if getattr(self, name) < 0:
                raise InvalidSetting(f"{variable_of(name)} must not be negative")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], **overrides: Any) -> "Settings":
        """
        The settings that the environment gives; `overrides` (by field name) win over it.

        Raises InvalidSetting for a value of the wrong type and for an unknown variable that starts with `LD_`.
        """
        values: dict[str, Any] = {}
        known = {one.metadata["variable"]: one for one in dataclasses.fields(cls)}
        for variable, text in environment.items():
            if variable in known and text != "":
                values[known[variable].name] = _convert(known[variable], text)
        unknown = sorted(name for name in environment if name.startswith("LD_") and name not in known and name not in _LINKER)
        if unknown:
            raise InvalidSetting("; ".join(_unknown(name, known) for name in unknown))
        return cls(**{**values, **{name: value for name, value in overrides.items() if value is not None}})


_CHOICES = {
    "allocation_policy": ("hard_fail", "allow_under_allocation"),
    "capacity_rule": ("overlap", "peak"),
    "four_eyes": ("on", "off"),
    "server": ("gunicorn", "granian"),
    "attachment_position": ("strip", "keep"),
}
_POSITIVE = (
    "web_workers", "web_threads", "database_pool", "sparql_timeout", "sparql_max_rows", "sparql_max_bytes", "max_body_bytes",
    "max_json_depth", "max_triples", "max_resources", "idempotency_hours", "projector_interval", "projector_batch", "projector_lease",
    "request_seconds", "max_url_bytes", "max_headers", "max_header_bytes",
    "stream_seconds", "attachment_max_bytes", "attachment_link_seconds", "attachment_draft_hours",
    "webhook_timeout", "relay_interval", "relay_batch", "relay_lease", "delivery_interval", "deliveries_at_once", "delivery_lease",
    "search_horizon_days", "run_lease", "sparql_queries", "max_lines",
)  # fmt: skip
_NOT_NEGATIVE = ("event_days", "run_days", "sparql_memory")
_LINKER = {"LD_LIBRARY_PATH", "LD_PRELOAD", "LD_RUN_PATH", "LD_BIND_NOW", "LD_DEBUG", "LD_AUDIT"}
"""Variables of the dynamic linker, which share our prefix."""


def variable_of(name: str) -> str:
    """The environment variable of a field."""
    return next(str(one.metadata["variable"]) for one in dataclasses.fields(Settings) if one.name == name)


def _unknown(variable: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(variable, known, n=1)
    return f"unknown setting {variable}" + (f", did you mean {close[0]}?" if close else "")


def _convert(one: "dataclasses.Field[Any]", text: str) -> Any:
    kind = next(kind for kind in (str, int, float, Path) if isinstance(one.default, kind))
    try:
        return kind(text)
    except ValueError as error:
        raise InvalidSetting(f"{one.metadata['variable']} must be {_WORDS[kind]}, not {text!r}") from error


_WORDS: dict[type, str] = {int: "a whole number", float: "a number"}
