"""Log lines: one JSON object each, on standard error."""

import json
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime

from ld_server.http.conversation import ACCESS
from ld_server.services.correlation import correlation
from ld_server.settings import InvalidSetting


class Lines(logging.Formatter):
    """`{"at", "level", "logger", "message"}` and, where there are some, `"correlationId"` and `"exception"`."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"), "level": record.levelname}
        line["logger"] = record.name
        line["message"] = record.getMessage()
        if (correlation_id := correlation.get()) is not None:
            line["correlationId"] = correlation_id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class Finished(logging.Handler):
    """
    For messages that are lines already: one write to standard error each, and nothing else.

    Every request writes a line, and with several threads each lock that is not taken counts.
    """

    def handle(self, record: logging.LogRecord) -> bool:
        with suppress(OSError):
            os.write(sys.stderr.fileno(), (record.msg + "\n").encode())
        return True


def configure(level: str) -> None:
    """Send what is at least this severe to standard error. Libraries speak up from WARNING on. Raises InvalidSetting."""
    threshold = number_of(level)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=threshold, handlers=[handler], force=True)
    access = logging.getLogger(ACCESS)
    access.handlers, access.propagate = [Finished()], False
    _leave_out_what_no_line_tells()
    for library in ("apscheduler", "huey", "rdflib", "alembic", "pyshacl", "urllib3"):
        logging.getLogger(library).setLevel(max(logging.WARNING, threshold))


def _leave_out_what_no_line_tells() -> None:
    """The switches that the manual of `logging` lists under "Optimization": no caller and no thread is looked up."""
    logging._srcfile = None
    logging.logThreads = logging.logMultiprocessing = False


def number_of(level: str) -> int:
    """The number of a level. Raises InvalidSetting for a name that is none."""
    levels = logging.getLevelNamesMapping()
    if level.upper() not in levels:
        raise InvalidSetting(f"LD_LOG_LEVEL must be one of {', '.join(levels)}, not {level}")
    return levels[level.upper()]
