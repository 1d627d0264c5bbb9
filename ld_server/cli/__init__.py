"""The command line: every command on one page, and what a refusal looks like in a terminal."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from ld_server.bootstrap import WrongBase
from ld_server.cli import backups, exchange, graphs, keys, processes, upkeep
from ld_server.cli.backups import BrokenBackup
from ld_server.cli.deployment import Arguments, data_argument, web_arguments
from ld_server.domain.errors import Refusal
from ld_server.services.sealing import WrongSecretKey
from ld_server.settings import InvalidSetting
from ld_server.supervisor.claims import Taken
from ld_server.supervisor.watch import StartFailed


@dataclass(frozen=True)
class Command:
    """One command: its words, what it promises, what it does (giving the exit status), and what it takes besides `--data`."""

    words: str
    sentence: str
    run: Callable[[argparse.Namespace], int]
    takes: Sequence[Arguments] = ()


COMMANDS = (
    Command("up", "Start everything: SPARQL store, web server and worker; Ctrl-C stops them.", processes.up, (web_arguments,)),
    Command("demo", "The same, with a small believable fleet to explore when the catalog is empty.", processes.demo, (web_arguments,)),
    Command("web", "Start the web server alone.", processes.web, (web_arguments,)),
    Command("worker", "Start one worker alone.", processes.worker, (processes.worker_arguments,)),
    Command("migrate", "Bring the ledger to the newest schema; the first time, make the first admin key.", upkeep.migrate),
    Command("keys create", "Make an API key and print it, this once.", keys.create, (keys.creation_arguments,)),
    Command("keys list", "List the API keys, without their text.", keys.show),
    Command("keys revoke", "Make an API key useless.", keys.revoke, (keys.revocation_arguments,)),
    Command("rebuild index", "Derive the index rows from the documents again.", upkeep.rebuild_index),
    Command("rebuild counters", "Count the promises of every stock pool again.", upkeep.rebuild_counters),
    Command("rebuild graphs", "Make every graph of the SPARQL store equal to its document.", graphs.rebuild_graphs, (graphs.arguments,)),
    Command("check", "Tell whether every store is reachable and in step, and every document in shape.", upkeep.check),
    Command("export", "Write the whole dataset, or a part of it, as one file.", exchange.export, (exchange.export_arguments,)),
    Command(
        "load", "Restore what was exported, and make what is new, from files in any syntax.", exchange.load, (exchange.load_arguments,)
    ),
    Command("backup", "Copy every store to one consistent point, while everything runs.", backups.backup, (backups.backup_arguments,)),
    Command("restore", "Bring a backup back into a deployment that has nothing yet.", backups.restore, (backups.restore_arguments,)),
    Command("rebase", "Rename all resources to another base IRI, while nothing runs.", upkeep.rebase, (upkeep.rebase_arguments,)),
)

REFUSALS: Mapping[type[Exception], int] = {
    InvalidSetting: 2,
    Taken: 2,
    WrongBase: 2,
    WrongSecretKey: 2,
    BrokenBackup: 1,
    Refusal: 1,
    StartFailed: 1,
}
"""What is told in one line, and the exit status: 2 when something must be changed first, 1 when it did not work this time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Gives the exit status. What commands create is for the owner alone."""
    os.umask(0o077)
    given = parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except tuple(REFUSALS) as refusal:
        print(f"ld-server: {refusal}", file=sys.stderr)
        return next(status for refused, status in REFUSALS.items() if isinstance(refusal, refused))
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The parser of COMMANDS; a command of two words is a subcommand of the first."""
    root = argparse.ArgumentParser(prog="ld-server", description="Reservations for fleet equipment, as linked data.")
    root.add_argument("--version", action="version", version=version("ld-reservations"))
    firsts = root.add_subparsers(metavar="COMMAND", required=True)
    groups: dict[str, argparse._SubParsersAction[argparse.ArgumentParser]] = {}
    for command in COMMANDS:
        first, _, second = command.words.partition(" ")
        if second and first not in groups:
            group = firsts.add_parser(first, help=", ".join(one.words for one in COMMANDS if one.words.startswith(first + " ")))
            groups[first] = group.add_subparsers(metavar="COMMAND", required=True)
        _add(command, groups[first] if second else firsts, second or first)
    return root


def _add(command: Command, to: "argparse._SubParsersAction[argparse.ArgumentParser]", word: str) -> None:
    one = to.add_parser(word, help=command.sentence, description=command.sentence)
    for add_arguments in (data_argument, *command.takes):
        add_arguments(one)
    one.set_defaults(run=command.run)
