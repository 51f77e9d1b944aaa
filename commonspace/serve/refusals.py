"""Errors as answers: which status, and what a caller may read.

What a caller did wrong is told in the words of the error. What is wrong on this side is told
without paths and without a trace; the log has the rest.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from commonspace.errors import (
    CommonspaceError,
    DataError,
    OutputError,
    SettingError,
    StoreError,
)
from commonspace.serve.messages import ErrorAnswer

__all__ = ["RESPONSES", "RefusedError", "install", "refusal_body"]

LOG = logging.getLogger("commonspace.serve")


class RefusedError(Exception):
    """A request that is answered with an error.

    Args:
        status: of HTTP.
        problem: what is wrong.
        expected: what would have been right.
        found: what came instead.
        advice: what to do.
        retry: seconds after which it may be tried again.
    """

    def __init__(
        self,
        status: int,
        problem: str,
        *,
        expected: str = "",
        found: str = "",
        advice: str = "",
        retry: int | None = None,
    ) -> None:
        """Keep the parts."""
        super().__init__(problem)
        self.status, self.retry = status, retry
        self.parts = {"problem": problem, "expected": expected, "found": found, "advice": advice}


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": meaning}
    for status, meaning in {
        400: "the request cannot be understood, or asks for what the index does not know",
        401: "no API key, or one that is not known",
        403: "not allowed",
        404: "there is no such thing",
        408: "the request did not arrive in time",
        409: "the index cannot take this",
        413: "too large",
        415: "no image, or a content type that is not read here",
        422: "a field is missing, unknown, or has a value that cannot work",
        429: "too many requests",
        500: "an error on this side",
        503: "busy, or not ready",
    }.items()
}


def install(app: FastAPI) -> None:
    """Let an application answer errors in this form."""
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(CommonspaceError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


def refusal_body(refused: RefusedError) -> bytes:
    """Return the JSON of an answer, for those who answer before the application is reached."""
    return json.dumps({"error": refused.parts}).encode()


def _answer(status: int, parts: Mapping[str, str], retry: int | None = None) -> JSONResponse:
    headers = {"Retry-After": str(retry)} if retry is not None else None
    return JSONResponse({"error": dict(parts)}, status, headers)


async def _refused(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RefusedError)
    return _answer(exc.status, exc.parts, exc.retry)


async def _ours(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, CommonspaceError)
    if isinstance(exc, SettingError | DataError):
        names = ("problem", "expected", "found", "advice")
        return _answer(400, {name: _sendable(getattr(exc, name)) for name in names})
    LOG.error("%s", exc)  # it names paths of this machine
    busy = isinstance(exc, StoreError | OutputError)
    problem = "the index cannot be used at the moment" if busy else "an error on this side"
    return _answer(
        503 if busy else 500,
        {"problem": problem, "expected": "", "found": "", "advice": "try again in a while"},
        5 if busy else None,
    )


async def _invalid(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError | ValidationError)
    found: Sequence[Any] = exc.errors()
    first = found[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    parts = {
        "problem": f"the request cannot be used: {where or 'its body'}{more}"[:300],
        "expected": str(first["msg"])[:300],
        "found": ascii(first.get("input"))[:80],
        "advice": "correct it; GET /openapi.json describes every field",
    }
    return _answer(422, {name: _sendable(part) for name, part in parts.items()})


async def _http(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    problems = {404: "there is no such address", 405: "this address has no such method"}
    parts = {"problem": problems.get(exc.status_code, str(exc.detail)), "expected": "", "found": ""}
    advice = "GET /openapi.json names every address"
    answer = _answer(exc.status_code, {**parts, "advice": advice})
    answer.headers.update(exc.headers or {})
    return answer


async def _gone(request: Request, exc: Exception) -> JSONResponse:
    return _answer(400, {"problem": "the request ended before it was whole"})  # nobody reads it


async def _unexpected(request: Request, exc: Exception) -> JSONResponse:
    parts = {"problem": "an error on this side", "expected": "", "found": ""}
    return _answer(500, {**parts, "advice": "the log of the service says more"})


def _sendable(text: str) -> str:
    """Return a text that UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode()
