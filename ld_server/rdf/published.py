"""Where `shapes/`, `contexts/` and `queries/` live: beside the packages in a checkout, and inside ours in an installed wheel."""

from collections.abc import Sequence
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_PLACES = (_PACKAGE / "_data", _PACKAGE.parent)
"""The wheel's place first: beside an installed package anybody may have a directory of the same name."""


def data_directory(name: str, places: Sequence[Path] = _PLACES) -> Path:
    """
    The directory of published data: `shapes`, `contexts` or `queries`, in the first of the places that has it.

    Raises FileNotFoundError when the installation does not carry it.
    """
    for place in places:
        if (place / name).is_dir():
            return place / name
    raise FileNotFoundError(f"The published data is not installed: no directory {name} in {' or '.join(map(str, places))}.")
