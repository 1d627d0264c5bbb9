"""The correlation id of what is being done, for log lines that are written deep inside it. Every thread and every task has its own."""

from contextvars import ContextVar

correlation: ContextVar[str | None] = ContextVar("correlation", default=None)
