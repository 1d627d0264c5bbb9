"""What a schedule can set going: a module for each job, with `run(parts, config, now)`, which gives a summary as JSON."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ld_server.services.parts import Parts
from workers.jobs import build_request_submit, overdue_scan, shortfall_scan, soon_scan

Run = Callable[[Parts, Mapping[str, Any], datetime], dict[str, Any]]
"""Parts, what was said of this run, and the instant. It may be called twice for one run: it does nothing twice."""

JOBS: Mapping[str, Run] = {
    "planning.shortfall_scan": shortfall_scan.run,
    "planning.build_request_submit": build_request_submit.run,
    "notifications.starts_soon_scan": soon_scan.starts_soon,
    "notifications.ends_soon_scan": soon_scan.ends_soon,
    "maintenance.overdue_scan": overdue_scan.run,
}
"""Type of job → what does it."""
