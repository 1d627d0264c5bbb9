"""The filters of a collection as the controls of a form. The form needs no script: what is left empty counts as not given."""

from collections.abc import Mapping
from dataclasses import dataclass

from ld_server.http.pages import words
from ld_server.resources.kind import Filter, boolean, instant


@dataclass(frozen=True)
class Control:
    """One control: its parameter, what it says, and what is chosen. With `options` it is a choice, else a line of text."""

    name: str
    label: str
    description: str
    chosen: str
    options: tuple[str, ...] = ()
    example: str = ""


def controls(filters: Mapping[str, Filter], chosen: Mapping[str, str]) -> list[Control]:
    """A control for every filter, in their order, what searches texts before the others."""
    return [_control(name, filters[name], chosen.get(name, "")) for name in sorted(filters, key=lambda name: name != "q")]


def _control(name: str, one: Filter, chosen: str) -> Control:
    options = ("true", "false") if one.read is boolean else one.allowed
    example = "2027-03-01T08:00:00Z" if one.read is instant else f"{name[:-2]}_7" if name.endswith("Id") else ""
    label = _LABELS.get(name) or words.label(name.removesuffix("Id"))
    return Control(name, label, one.description, chosen, options, example)


_LABELS = {"q": "Search", "startFrom": "Starts from", "endUntil": "Ends until"}
"""Parameters that read badly word by word."""
