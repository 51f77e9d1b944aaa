"""Error responses: one JSON form, and what each exception becomes.

Mistakes of a caller are explained in the words of the exception. Faults of the service are
reported without paths and traces; the log has them.
"""

import json
import logging
from collections.abc import Sequence
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
from commonspace.serve.schemas import ErrorResponse

__all__ = [
    "RESPONSES",
    "RequestError",
    "add_error_handlers",
    "busy",
    "error_body",
    "unknown_item",
]

LOG = logging.getLogger("commonspace.serve")

_CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    415: "unsupported",
    422: "invalid",
    429: "rate_limited",
    499: "client_closed",
    503: "unavailable",
}


class RequestError(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        problem: what is wrong.
        code: a stable identifier for programs; "": the one of the status.
        expected: what would have been right.
        found: what came instead.
        advice: what to do.
        retry_after: seconds after which to try again.
    """

    def __init__(
        self,
        status: int,
        problem: str,
        *,
        code: str = "",
        expected: str = "",
        found: str = "",
        advice: str = "",
        retry_after: int | None = None,
    ) -> None:
        super().__init__(problem)
        self.status, self.retry_after = status, retry_after
        self.content = _content(status, problem, code, expected, found, advice)


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorResponse, "description": meaning}
    for status, meaning in {
        400: "The request is malformed, or names something that the index does not have.",
        401: "The API key is missing or unknown.",
        403: "Not allowed.",
        404: "Not found.",
        408: "The request did not arrive in time.",
        409: "The change conflicts with the index.",
        413: "The request, or the photo in it, is too large.",
        415: "The content type, or the image format, is not supported.",
        422: "A field is missing, unknown or out of range.",
        429: "Too many requests.",
        500: "An error of the service.",
        503: "Busy or not ready; try again after Retry-After seconds.",
    }.items()
}


def add_error_handlers(app: FastAPI) -> None:
    """Make an application answer errors in this form."""
    app.add_exception_handler(RequestError, _on_request_error)
    app.add_exception_handler(CommonspaceError, _on_package_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(ValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_exception)


def busy(problem: str, retry_after: int = 1) -> RequestError:
    """Return the error of a service that has too much to do."""
    return RequestError(
        503, problem, code="busy", advice="try again in a moment", retry_after=retry_after
    )


def unknown_item(id: str) -> RequestError:
    """Return the error for an id that the index does not have."""
    return RequestError(
        404,
        "unknown item",
        expected="an id as in a search result, percent-encoded",
        found=ascii(id)[:80],
        advice="search for it: POST /v1/search",
    )


def error_body(error: RequestError) -> bytes:
    """Return the JSON of a response, for middleware."""
    return json.dumps({"error": error.content}).encode()


def _content(
    status: int, problem: str, code: str = "", expected: str = "", found: str = "", advice: str = ""
) -> dict[str, str]:
    parts = {"problem": problem, "expected": expected, "found": found, "advice": advice}
    texts = {name: text.encode("utf-8", "replace").decode() for name, text in parts.items()}
    return {"code": code or _CODES.get(status, "internal"), **texts}


def _response(status: int, content: dict[str, str], retry_after: int | None = None) -> JSONResponse:
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else None
    return JSONResponse({"error": content}, status, headers)


async def _on_request_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestError)
    return _response(exc.status, exc.content, exc.retry_after)


async def _on_package_error(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, CommonspaceError)
    if isinstance(exc, SettingError | DataError):
        content = _content(400, exc.problem, "", exc.expected, exc.found, exc.advice)
        return _response(400, content)
    LOG.error("%s", exc)  # names paths of this machine
    if isinstance(exc, StoreError | OutputError):
        problem = "the index is not available at the moment"
        return _response(503, _content(503, problem, advice="try again later"), 5)
    return _response(500, _content(500, "internal error", advice="see the log of the service"))


async def _on_invalid(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError | ValidationError)
    errors: Sequence[Any] = exc.errors()
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    content = _content(
        422,
        f"invalid request: {where or 'body'}{more}"[:300],
        expected=str(first["msg"])[:300],
        found=ascii(first.get("input"))[:80],
        advice="GET /openapi.json describes every field",
    )
    return _response(422, content)


async def _on_http_exception(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, HTTPException)
    problems = {404: "unknown path", 405: "method not allowed for this path"}
    problem = problems.get(exc.status_code, str(exc.detail))
    advice = "GET /openapi.json lists every path"
    response = _response(exc.status_code, _content(exc.status_code, problem, advice=advice))
    response.headers.update(exc.headers or {})
    return response


async def _on_disconnect(request: Request, exc: Exception) -> JSONResponse:
    return _response(499, _content(499, "the client closed the connection"))  # nobody reads it


async def _on_exception(request: Request, exc: Exception) -> JSONResponse:
    return _response(500, _content(500, "internal error", advice="see the log of the service"))
