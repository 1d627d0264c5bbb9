"""Where the published data lives: `shapes/` and `contexts/`, beside the packages in a checkout and inside ours in an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent
_PLACES = (_PACKAGE / "_data", _PACKAGE.parent)
"""The wheel's place first: beside an installed package anybody may have a directory of the same name."""


def data_directory(name: str) -> Path:
    """
    The directory of published data: `shapes` or `contexts`.

    Raises FileNotFoundError when the installation does not carry it.
    """
    return _first_directory([place / name for place in _PLACES])


def _first_directory(candidates: list[Path]) -> Path:
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"The published data is not installed; looked for {' and '.join(map(str, candidates))}.")
