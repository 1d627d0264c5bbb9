"""Log lines: one JSON object each, on standard error."""

import json
import logging
import sys
from datetime import UTC, datetime

from ld_server.settings import InvalidSetting

ACCESS = "ld_server.access"
"""The logger whose messages are JSON objects already."""


class Lines(logging.Formatter):
    """`{"at", "level", "logger", "message"}` and, where there is one, `"exception"`; of an access line its own members."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"), "level": record.levelname}
        line["logger"] = record.name
        if record.name == ACCESS:
            return json.dumps(line)[:-1] + ", " + record.getMessage().removeprefix("{")
        line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(level: str) -> None:
    """Send what is at least this severe to standard error. Libraries speak up from WARNING on. Raises InvalidSetting."""
    threshold = number_of(level)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=threshold, handlers=[handler], force=True)
    for library in ("apscheduler", "huey", "rdflib", "alembic", "pyshacl", "urllib3"):
        logging.getLogger(library).setLevel(max(logging.WARNING, threshold))


def number_of(level: str) -> int:
    """The number of a level. Raises InvalidSetting for a name that is none."""
    levels = logging.getLevelNamesMapping()
    if level.upper() not in levels:
        raise InvalidSetting(f"LD_LOG_LEVEL must be one of {', '.join(levels)}, not {level}")
    return levels[level.upper()]
