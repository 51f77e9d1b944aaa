"""Log lines with time, level and request id, as text or JSON."""

import json
import logging
import time
from contextvars import ContextVar
from typing import Literal

__all__ = ["REQUEST_ID", "LogFormat", "configure_logging"]

LogFormat = Literal["text", "json"]

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="-")
"""Id of the request that the current task or thread works for."""

_FIELDS = ("method", "route", "status", "milliseconds")


def configure_logging(format: LogFormat = "text") -> None:
    """Write the log of the package to standard error, from level INFO.

    Args:
        format: "text", or "json" for one JSON object a line.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if format == "json" else _TextFormatter())
    logger = logging.getLogger("commonspace")
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = f"{_time(record)} {record.levelname:7} [{REQUEST_ID.get()}] {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


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
        return json.dumps(line, ensure_ascii=False)


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"
