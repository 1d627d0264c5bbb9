"""Imports go down only, stand at the top of the file, and each third-party library has its home."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ld_server", "relational", "workers")

LAYERS: tuple[tuple[str, ...], ...] = (
    ("ld_server.__main__",),
    ("ld_server.cli",),
    ("ld_server.wsgi", "ld_server.granian_server"),
    ("ld_server.supervisor", "ld_server.unreadable"),
    ("ld_server.bootstrap",),
    ("ld_server.http", "workers"),
    ("ld_server.services",),
    ("ld_server.resources",),
    ("ld_server.rdf", "ld_server.sparql", "ld_server.blobs", "relational"),
    ("ld_server.domain",),
    ("ld_server.settings", "ld_server.patience"),
)
"""From the top down. Packages of one layer do not know one another, unless NEIGHBOURS says so."""

NEIGHBOURS = {("ld_server.sparql", "ld_server.rdf")}
"""Who may import sideways, and whom: SPARQL answers are graphs, and the syntaxes of graphs are one table."""

HOMES: dict[str, tuple[str, ...]] = {
    "sqlalchemy": ("relational",),
    "alembic": ("relational",),
    "psycopg": ("relational",),
    "falcon": ("ld_server.http",),
    "huey": ("workers",),
    "apscheduler": ("workers",),
    "gunicorn": ("ld_server.wsgi", "ld_server.unreadable"),
    "pyshacl": ("ld_server.rdf",),
    "pyld": ("ld_server.rdf",),
    "rdflib": ("ld_server.rdf", "ld_server.sparql"),
    "pyoxigraph": ("ld_server.rdf", "ld_server.sparql", "ld_server.resources"),
    "jinja2": ("ld_server.http.pages",),
    "markupsafe": ("ld_server.http.pages",),
    "jsonpatch": ("ld_server.resources",),
    "jsonpointer": ("ld_server.resources",),
    "urllib3": ("ld_server.sparql", "workers.inventree", "ld_server.services.tokens"),
    "jwt": ("ld_server.services.tokens",),
    "boto3": ("ld_server.blobs",),
    "botocore": ("ld_server.blobs",),
    "PIL": ("ld_server.blobs.pictures",),
    "redis": ("workers",),
    "cryptography": ("ld_server.services",),
    "aiohttp": ("workers",),
    "dateutil": ("ld_server.services.timing",),
    "jmespath": ("ld_server.services",),
    "kombu": ("workers",),
    "prometheus_client": ("ld_server.services.meters",),
    "granian": ("ld_server.granian_server",),
    "orjson": PACKAGES,
}
"""Every third-party library we import, and the only packages that may."""

ENVIRONMENT_READERS = ("ld_server.cli", "ld_server.supervisor", "ld_server.wsgi")
"""Who may look at os.environ: to hand it to Settings, or to a child process."""


@dataclass(frozen=True)
class Module:
    name: str
    tree: ast.Module

    def imports(self) -> Iterator[tuple[str, int]]:
        """The modules that are imported, with the line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}:{node.lineno} imports relatively"
                yield from ((self._target(node.module or "", alias.name), node.lineno) for alias in node.names)

    def _target(self, module: str, name: str) -> str:
        return f"{module}.{name}" if f"{module}.{name}" in NAMES else module


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
NAMES = {_name(path) for path in SOURCES}
MODULES = [Module(_name(path), ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES]

every_module = pytest.mark.parametrize("module", MODULES, ids=lambda module: module.name)


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def home_of(name: str) -> tuple[int, str] | None:
    """The number of the layer and the package a module belongs to."""
    return next(((number, package) for number, layer in enumerate(LAYERS) for package in layer if inside(name, package)), None)


def may_import(importer: str, imported: str) -> bool:
    one, other = home_of(importer), home_of(imported)
    if one is None or other is None:
        return imported in PACKAGES
    return one == other or one[0] < other[0] or (one[1], other[1]) in NEIGHBOURS


@every_module
def test_every_module_has_a_layer(module):
    assert module.name in PACKAGES or home_of(module.name) is not None


@every_module
def test_imports_go_down_only(module):
    wrong = [
        f"line {line}: {name}"
        for name, line in module.imports()
        if name.partition(".")[0] in PACKAGES and not may_import(module.name, name)
    ]
    assert not wrong, f"{module.name} imports upwards or sideways: {wrong}"


@every_module
def test_third_party_libraries_are_imported_in_their_homes_only(module):
    for name, line in module.imports():
        library = name.partition(".")[0]
        if library in sys.stdlib_module_names or library in PACKAGES:
            continue
        assert library in HOMES, f"{module.name}:{line} imports {library}, which has no home"
        assert any(inside(module.name, home) for home in HOMES[library]), (
            f"{module.name}:{line} imports {library}; its home is {HOMES[library]}"
        )


@every_module
def test_imports_stand_at_the_top_of_the_file(module):
    hidden = [
        inner.lineno
        for outer in ast.walk(module.tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for inner in ast.walk(outer)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]
    assert not hidden, f"{module.name} hides imports in lines {hidden}"


@every_module
def test_only_few_look_at_the_environment(module):
    if any(inside(module.name, reader) for reader in ENVIRONMENT_READERS):
        return
    readers = [node.lineno for node in ast.walk(module.tree) if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}]
    assert not readers, f"{module.name} reads the environment in lines {readers}; settings belong to ld_server.settings"


def test_the_domain_needs_the_standard_library_and_itself_alone():
    for module in MODULES:
        if inside(module.name, "ld_server.domain"):
            foreign = [
                name
                for name, _ in module.imports()
                if name.partition(".")[0] not in sys.stdlib_module_names and not inside(name, "ld_server.domain")
            ]
            assert not foreign, f"{module.name} imports {foreign}"


def test_the_rule_itself():
    assert may_import("ld_server.cli", "ld_server.bootstrap")
    assert may_import("ld_server.http.app", "ld_server.http.errors")
    assert not may_import("ld_server.http.app", "workers.projector")
    assert not may_import("relational.keys", "ld_server.rdf.naming")
    assert not may_import("ld_server.services.catalog", "ld_server.bootstrap")
