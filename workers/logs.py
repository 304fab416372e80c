"""Log lines: for people on a terminal, JSON otherwise, both on stderr. Set up by the commands, never by an import.

Lines of the standard library's loggers and of structlog come out alike. Control characters are escaped, so that what a
payload says can neither forge a line nor steer a terminal.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from enum import Enum
from typing import Any

import structlog

from workers.words import escaped


class Style(Enum):
    """How lines are written."""

    CONSOLE = "console"
    JSON = "json"


_state: dict[str, Style] = {}


def style() -> Style | None:
    """The style that was configured in this process, for its children."""
    return _state.get("style")


def suitable() -> Style:
    """For people if a person can be reading along."""
    return Style.CONSOLE if sys.stderr.isatty() else Style.JSON


def configure(chosen: Style, level: str = "INFO") -> None:
    """Set up logging for this process."""
    _state["style"] = chosen
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            escape_values,
            _renderer(chosen),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def escape_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape control characters in every text; a traceback keeps its line breaks."""
    for name, value in event.items():
        if name == "exception":
            event[name] = "\n".join(escaped(line) for line in str(value).split("\n"))
        elif isinstance(value, str):
            event[name] = escaped(value)
        elif not isinstance(value, int | float | None):
            event[name] = escaped(repr(value))
    return event


def _renderer(chosen: Style) -> Any:
    if chosen is Style.JSON:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
