"""Where the published data is found: beside the packages in a checkout, inside our package in a wheel."""

from pathlib import Path

import pytest

from ld_server.rdf import published
from ld_server.rdf.published import data_directory


@pytest.mark.parametrize("name", ["shapes", "contexts"])
def test_a_checkout_has_the_data_beside_the_packages(name: str) -> None:
    assert data_directory(name) == Path(published.__file__).resolve().parents[2] / name


def test_an_installed_wheel_has_the_data_inside_the_package(tmp_path: Path) -> None:
    inside, beside = tmp_path / "ld_server" / "_data", tmp_path
    for place in (inside, beside):
        (place / "shapes").mkdir(parents=True)
    assert data_directory("shapes", (inside, beside)) == inside / "shapes"


def test_data_that_is_not_there_is_told_with_the_places_where_it_was_sought() -> None:
    with pytest.raises(FileNotFoundError, match="unheard-of"):
        data_directory("unheard-of")
