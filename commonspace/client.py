"""Asking a service from Python: typed calls over HTTP, with nothing but the standard library.

    from commonspace.client import Client

    shop = Client("http://127.0.0.1:8000", key="...")
    for item in shop.search(text="a red kite", k=5).found:
        print(item.id, item.relevance)

It knows no index, no space and no torch.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from commonspace.errors import ServiceError, SettingError

__all__ = ["Answer", "Client", "FoundItem", "Item"]


@dataclass(frozen=True)
class FoundItem:
    """An item that was found."""

    id: str
    modality: str
    """By which of its modalities."""
    score: float
    """The inner product of the query's vector with the item's."""
    relevance: float | None
    """How probable it is that query and item share a class; None: not calibrated."""
    labels: tuple[str, ...]
    text: str | None
    has_image: bool
    fields: Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """What a query found."""

    found: tuple[FoundItem, ...]
    """The best first."""
    total: int
    """Items that condition and modality leave to be found."""
    has_instance_block: bool
    calibrated: bool
    seconds: float
    """That the service took."""


@dataclass(frozen=True)
class Item:
    """All that a service knows of an item."""

    id: str
    split: str
    labels: tuple[str, ...]
    texts: tuple[str, ...]
    has_image: bool
    fields: Mapping[str, Any]
    modalities: tuple[str, ...]
    posterior: Mapping[str, Mapping[str, float]] | None
    """Modality -> class -> probability; None where the space tells none."""
    neighbours: tuple[FoundItem, ...]


class Client:
    """Asks a service.

    Args:
        address: of the service: "http://127.0.0.1:8000".
        key: an API key, where it wants one.
        timeout: seconds that an answer may take.

    Raises:
        SettingError: the address is none of HTTP.
    """

    def __init__(self, address: str, *, key: str | None = None, timeout: float = 30.0) -> None:
        """Keep the address; nothing is asked yet."""
        if urlsplit(address).scheme not in ("http", "https"):
            raise SettingError(
                "this is no address of a service",
                expected="http://HOST:PORT, as commonspace serve prints it",
                found=repr(address)[:80],
                advice="begin it with http:// or https://",
            )
        self._address = address.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout = timeout

    def search(
        self,
        *,
        text: str | None = None,
        image: str | Path | bytes | None = None,
        id: str | None = None,
        k: int = 24,
        offset: int = 0,
        modality: str | None = None,
        modality_of_query: str | None = None,
        where: str | None = None,
        instance_weight: float | None = None,
        min_relevance: float | None = None,
    ) -> Answer:
        """Return the items that fit a query best.

        Args:
            text: words.
            image: an image file, or its bytes.
            id: an item of the index: more like this. Of several, the mean is asked with.
            k: how many.
            offset: how many of the best to pass over.
            modality: find items by this modality alone.
            modality_of_query: by which of its modalities ``id`` asks; None: by all.
            where: a condition: 'price < 50'.
            instance_weight: from 0, "the same kind", to 1, "this very thing".
            min_relevance: leave out, of the k, what is less probably relevant.

        Raises:
            ServiceError: the service refused, or did not answer.
        """
        fields = {
            "text": text,
            "id": id,
            "k": k,
            "offset": offset,
            "modality": modality,
            "modality_of_query": modality_of_query,
            "where": where,
            "instance_weight": instance_weight,
            "min_relevance": min_relevance,
        }
        asked = {name: value for name, value in fields.items() if value is not None}
        said = self._json("POST", "/search", asked, image)
        found = tuple(_found(one) for one in said.pop("found"))
        return Answer(found=found, **said)

    def item(self, id: str) -> Item:
        """Return all that is known of an item.

        Raises:
            ServiceError: there is none of that id (status 404), or no answer.
        """
        said = self._json("GET", _item(id))
        posterior = said.pop("posterior")
        if posterior is not None:
            posterior = {
                modality: {one["name"]: one["probability"] for one in classes}
                for modality, classes in posterior.items()
            }
        said.update({name: tuple(said[name]) for name in ("labels", "texts", "modalities")})
        near = tuple(_found(one) for one in said.pop("neighbours"))
        return Item(posterior=posterior, neighbours=near, **said)

    def image(self, id: str) -> bytes:
        """Return the picture of an item, as a file of the kind that the index has.

        Raises:
            ServiceError: there is none (status 404), or no answer.
        """
        return self._bytes("GET", f"{_item(id)}/image")

    def thumbnail(self, id: str, size: int = 256) -> bytes:
        """Return the picture of an item as a JPEG that fits into a square.

        Args:
            id: of the item.
            size: the side of the square, from 16 to 1024.

        Raises:
            ServiceError: there is none (status 404), or no answer.
        """
        return self._bytes("GET", f"{_item(id)}/thumbnail?size={size}")

    def about(self) -> dict[str, Any]:
        """Return what there is to search in: items, modalities, classes, fields.

        Raises:
            ServiceError: no answer.
        """
        return self._json("GET", "/about")

    def put(
        self,
        id: str,
        *,
        text: Sequence[str] = (),
        image: str | Path | bytes | None = None,
        labels: Sequence[str] = (),
        fields: Mapping[str, Any] | None = None,
    ) -> str:
        """Put an item in, or another one in its place; where the service is writable.

        Args:
            id: of the item.
            text: its texts.
            image: an image file, or its bytes.
            labels: its classes.
            fields: numbers, strings, true or false by name.

        Returns:
            "added", "replaced", "described" (its labels or fields alone changed) or "unchanged".

        Raises:
            ServiceError: the service refused (status 403: it is not writable), or no answer.
        """
        said = {"id": id, "text": list(text), "labels": list(labels), "fields": dict(fields or {})}
        return str(self._json("POST", "/items", said, image)["change"])

    def remove(self, id: str) -> None:
        """Take an item out; where the service is writable.

        Raises:
            ServiceError: there is none (status 404), it is not writable (403), or no answer.
        """
        self._json("DELETE", _item(id))

    def _json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        image: str | Path | bytes | None = None,
    ) -> dict[str, Any]:
        if body is None:
            said = self._bytes(method, path)
        elif image is None:
            said = self._bytes(method, path, json.dumps(body).encode(), "application/json")
        else:
            content = image if isinstance(image, bytes) else _read(Path(image))
            said = self._bytes(method, path, *_form(body, content))
        try:
            found: dict[str, Any] = json.loads(said)
        except ValueError as exc:
            raise _strange(self._address, said) from exc
        return found

    def _bytes(
        self, method: str, path: str, body: bytes | None = None, kind: str | None = None
    ) -> bytes:
        headers = {**self._headers, **({"Content-Type": kind} if kind else {})}
        request = Request(self._address + path, body, headers, method=method)
        try:
            with urlopen(request, timeout=self._timeout) as answer:
                content: bytes = answer.read()
                return content
        except HTTPError as exc:
            with exc:
                raise _refusal(exc.code, exc.read()) from exc
        except (URLError, HTTPException, OSError) as exc:
            raise ServiceError(
                f"no service answers at {self._address}",
                expected="a service, as commonspace serve starts it",
                found=str(getattr(exc, "reason", exc)) or type(exc).__name__,
                advice="check the address, and that it runs",
            ) from exc


def _item(id: str) -> str:
    return f"/items/{quote(id, safe='')}"


def _found(said: dict[str, Any]) -> FoundItem:
    return FoundItem(**{**said, "labels": tuple(said["labels"])})


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
        for one in value if isinstance(value, list) else [value]:
            text = json.dumps(one) if isinstance(one, dict) else str(one)
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
            parts.append(f"{head}{text}\r\n".encode())
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    parts += [head.encode(), image, f"\r\n--{boundary}--\r\n".encode()]
    return b"".join(parts), f"multipart/form-data; boundary={boundary}"


def _refusal(status: int, body: bytes) -> ServiceError:
    try:
        said = json.loads(body)["error"]
        parts = {name: str(said.get(name, "")) for name in ("expected", "found", "advice")}
        return ServiceError(str(said["problem"]), status=status, **parts)
    except (ValueError, LookupError, TypeError, AttributeError):
        return ServiceError(f"the service answered with status {status}", status=status)


def _strange(address: str, said: bytes) -> ServiceError:
    return ServiceError(
        f"what answers at {address} is no such service",
        expected="JSON",
        found=ascii(said[:40]),
        advice="check the address",
    )
