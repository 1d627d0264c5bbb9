"""Tables in Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """The cells of a row; the first row of a table is its head."""

    cells: tuple[str, ...]

    def __str__(self) -> str:
        return f"| {' | '.join(self.cells)} |"


def print_table(rows: Sequence[Row]) -> None:
    head, *body = rows
    rule = Row(tuple("---" if place == 0 else "---:" for place in range(len(head.cells))))
    print("\n".join(map(str, [head, rule, *body])), flush=True)
    print(flush=True)
