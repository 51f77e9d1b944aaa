"""HTTP requests to the search service, with the standard library only."""

import json
import uuid
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from commonspace.errors import ServiceError, SettingError
from commonspace.json_text import parse_json

__all__ = ["ServiceConnection"]


class ServiceConnection:
    """Address, key and timeout of a service, and requests to it.

    Args:
        address: of the service: "http://127.0.0.1:8000".
        key: an API key, if the service requires one.
        timeout: maximum time of a response, in seconds.

    Raises:
        SettingError: If the address is not one of HTTP.
    """

    def __init__(self, address: str, key: str | None, timeout: float) -> None:
        if urlsplit(address).scheme not in ("http", "https"):
            raise SettingError(
                "the address of the service is invalid",
                expected="http://HOST:PORT, as commonspace serve prints it",
                found=repr(address)[:80],
                advice="start it with http:// or https://",
            )
        self._address = address.rstrip("/").removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout

    def json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        image: str | Path | bytes | None = None,
    ) -> dict[str, Any]:
        """Send a request, and return the object of its JSON response.

        Args:
            method: "GET", "POST" or "DELETE".
            path: below /v1, with its query.
            body: sent as JSON, or with an image as a form; None: no body.
            image: an image file, or its bytes.

        Raises:
            ServiceError: If the service returns an error or cannot be reached.
            SettingError: If the file cannot be read.
        """
        if body is None:
            content = self.content(method, path)
        elif image is None:
            content = self.content(method, path, json.dumps(body).encode(), "application/json")
        else:
            file = image if isinstance(image, bytes) else _read(Path(image))
            content = self.content(method, path, *_form(body, file))
        try:
            answer: dict[str, Any] = parse_json(content)
        except ValueError as exc:
            raise _not_json(self._address, content) from exc
        return answer

    def content(
        self, method: str, path: str, body: bytes | None = None, kind: str | None = None
    ) -> bytes:
        """Send a request, and return the bytes of its response.

        Args:
            method: "GET", "POST" or "DELETE".
            path: below /v1, with its query.
            body: of the request; None: no body.
            kind: content type of the body.

        Raises:
            ServiceError: If the service returns an error or cannot be reached.
        """
        headers = {**self._headers, **({"Content-Type": kind} if kind else {})}
        request = Request(f"{self._address}/v1{path}", body, headers, method=method)
        try:
            with urlopen(request, timeout=self._timeout) as answer:
                content: bytes = answer.read()
                return content
        except HTTPError as exc:
            with exc:
                raise _service_error(exc.code, exc.read()) from exc
        except (URLError, HTTPException, OSError) as exc:
            raise ServiceError(
                f"the service at {self._address} cannot be reached",
                expected="a service, as commonspace serve starts it",
                found=str(getattr(exc, "reason", exc)) or type(exc).__name__,
                advice="check the address, and that the service runs",
            ) from exc


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise SettingError(
            f"{path} cannot be read",
            expected="an image file",
            found=exc.strerror or str(exc),
            advice="check the path",
        ) from exc


def _form(body: Mapping[str, Any], image: bytes) -> tuple[bytes, str]:
    """Return the body of a multipart/form-data request, and its content type."""
    boundary = uuid.uuid4().hex
    parts: list[bytes] = []
    for name, value in body.items():
        numbers = isinstance(value, list) and value and isinstance(value[0], float)
        for one in value if isinstance(value, list) and not numbers else [value]:
            text = json.dumps(one) if isinstance(one, dict | list) else str(one)
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            parts.append(f"{head}{text}\r\n".encode())
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    parts += [head.encode(), image, f"\r\n--{boundary}--\r\n".encode()]
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def _service_error(status: int, body: bytes) -> ServiceError:
    try:
        error = parse_json(body)["error"]
        parts = {name: str(error.get(name, "")) for name in ("expected", "found", "advice")}
        return ServiceError(str(error["problem"]), status=status, **parts)
    except (ValueError, LookupError, TypeError, AttributeError):
        return ServiceError(f"the service returned status {status}", status=status)


def _not_json(address: str, content: bytes) -> ServiceError:
    return ServiceError(
        f"{address} is not a search service",
        expected="JSON",
        found=ascii(content[:40]),
        advice="check the address",
    )
