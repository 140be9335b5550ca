"""Log lines for machines (JSON, one object a line) and for people (console), on stderr.

A line has a time, a level, a logger, a message, and fields: whatever was given as `extra` to the logging call.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import IO, Any

FORMATS = ("json", "console")
LEVELS = ("debug", "info", "warning", "error")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_COLOURS = {"DEBUG": "2", "INFO": "36", "WARNING": "33", "ERROR": "31", "CRITICAL": "31"}


def set_up(style: str | None, level: str, stream: IO[str] | None = None) -> None:
    """Send all logs to `stream` (stderr). `style`: one of FORMATS; None: console on a terminal, else json."""
    out = stream or sys.stderr
    terminal = out.isatty()
    handler = logging.StreamHandler(out)
    json_lines = style == "json" or (style is None and not terminal)
    handler.setFormatter(JsonLines() if json_lines else Console(coloured=terminal))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("foreman").setLevel(level.upper())
    # What asyncio reports there is about connections that broke; those are told about by whoever used them.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What was given as `extra`."""
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


class JsonLines(logging.Formatter):
    """{"time": ..., "level": ..., "logger": ..., "message": ..., fields ...}; a traceback under "error"."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class Console(logging.Formatter):
    """'14:03:35 INFO    message  key=value ...'; a traceback follows on lines of its own."""

    def __init__(self, coloured: bool = False) -> None:
        super().__init__()
        self.coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        level = f"{record.levelname:<7}"
        told = "  ".join(f"{name}={_shown(value)}" for name, value in fields_of(record).items())
        if self.coloured:
            level = f"\x1b[{_COLOURS.get(record.levelname, '0')}m{level}\x1b[0m"
            told = f"\x1b[2m{told}\x1b[0m" if told else ""
        time = _moment(record).astimezone().strftime("%H:%M:%S")
        line = f"{time} {level} {record.getMessage()}" + (f"  {told}" if told else "")
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _shown(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(sign in text for sign in ' "=') else text


def one_line(error: BaseException) -> str:
    """What an error says, without its line breaks; its class when it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__
