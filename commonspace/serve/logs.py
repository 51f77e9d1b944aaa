"""Log lines with time, level and request id, as text or JSON."""

import json
import logging
import re
import time
from contextvars import ContextVar
from typing import Literal

__all__ = ["LIBRARIES", "REQUEST_ID", "LogFormat", "configure_logging"]

LogFormat = Literal["text", "json"]

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="-")
"""Id of the request that the current task or thread works for."""

LIBRARIES = ("uvicorn", "asyncio", "fastapi", "python_multipart", "PIL", "py.warnings")
"""Libraries whose warnings are part of the log."""
_CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that would change the look of a log; line breaks are indented."""
_FIELDS = ("method", "route", "status", "milliseconds")


def configure_logging(format: LogFormat = "text") -> None:
    """Write the log to standard error: of the package from level INFO, of the server from WARNING.

    Args:
        format: "text", or "json" for one JSON object a line.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if format == "json" else _TextFormatter())
    logger = logging.getLogger("commonspace")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    for name in LIBRARIES:
        library = logging.getLogger(name)
        library.handlers, library.propagate = [handler], False
        library.setLevel(logging.WARNING)
    # A malformed form is answered with 400, and its route is in the log already.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        head = f"{_time(record)} {record.levelname:7} [{REQUEST_ID.get()}]"
        return f"{head} {_CONTROLS.sub(_escape, text)}".replace("\n", "\n    ")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "request_id": REQUEST_ID.get(),
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _FIELDS if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"
