"""What is installed from the wheel works without the checkout: shapes, contexts and migrations are inside."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from deployment import environment

ROOT = Path(__file__).resolve().parents[2]


def quiet(*command: str | Path, cwd: Path) -> str:
    ended = subprocess.run([str(word) for word in command], cwd=cwd, env=environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    quiet(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", place, ROOT, cwd=place)
    (built,) = place.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin directory of a fresh environment that has the wheel, and our dependencies from where they are."""
    place = tmp_path_factory.mktemp("installed")
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    quiet(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps", wheel, cwd=place)
    site = Path(quiet(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=place).strip())
    (site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return place / "bin"


@pytest.mark.parametrize("name", ["shapes", "contexts", "queries"])
def test_the_wheel_carries_every_published_file(wheel, name):
    carried = {path.removeprefix("ld_server/_data/") for path in zipfile.ZipFile(wheel).namelist()}
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / name).rglob("*") if path.is_file()}
    assert wanted and wanted <= carried


def test_the_wheel_carries_the_templates_and_the_looks_of_the_pages(wheel):
    carried = set(zipfile.ZipFile(wheel).namelist())
    pages = ROOT / "ld_server" / "http" / "pages"
    wanted = {str(path.relative_to(ROOT)) for folder in ("templates", "static") for path in (pages / folder).iterdir()}
    assert len(wanted) > 5 and wanted <= carried


def test_the_wheel_carries_the_migrations_and_no_tests(wheel):
    carried = zipfile.ZipFile(wheel).namelist()
    assert any(path.startswith("relational/migrations/versions/") for path in carried)
    assert not [path for path in carried if path.startswith(("tests/", "bench/"))]


def test_published_data_is_found_in_the_installation(installed, tmp_path):
    script = "import ld_server.rdf.published as p; [print(p.data_directory(one)) for one in ('shapes', 'contexts', 'queries')]"
    for line in quiet(installed / "python", "-c", script, cwd=tmp_path).splitlines():
        assert line.startswith(str(installed.parent)) and any(Path(line).iterdir())


def test_the_command_is_installed_and_knows_its_version(installed, tmp_path):
    assert "rebuild" in quiet(installed / "ld-server", "--help", cwd=tmp_path)
    assert quiet(installed / "ld-server", "--version", cwd=tmp_path).strip()


def test_an_installed_ledger_can_be_migrated(installed, tmp_path):
    assert quiet(installed / "ld-server", "migrate", "--data", tmp_path / "data", cwd=tmp_path).startswith("rsv_")
    assert (tmp_path / "data" / "ledger.db").exists()
