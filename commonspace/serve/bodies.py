"""The body of a request, JSON or multipart/form-data, as a checked model and an image.

It knows no index.
"""

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from commonspace.serve.refusals import RefusedError

__all__ = ["openapi_body", "parsed"]

Model = TypeVar("Model", bound=BaseModel)

FIELDS = 250
FIELD_BYTES = 2**20


async def parsed(request: Request, model: type[Model]) -> tuple[Model, bytes | None]:
    """Return what was sent, and the bytes of its image; None without one.

    Args:
        request: its body is read here.
        model: what JSON or the fields of the form must fit.

    Raises:
        RefusedError: neither JSON nor a form; a form that is damaged, or has a field twice.
        ValidationError: what was sent does not fit.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return model.model_validate_json(await request.body()), None
    if kind != "multipart/form-data":
        raise RefusedError(
            415,
            "the content type is not read here",
            expected="application/json or multipart/form-data",
            found=ascii(kind)[:80],
            advice="send JSON, or a form where there is an image",
        )
    parser = _Parser(
        request.headers,
        request.stream(),
        max_files=1,
        max_fields=FIELDS,
        max_part_size=FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError, LookupError) as exc:
        raise RefusedError(
            400,
            "the form cannot be read",
            expected="multipart/form-data with a boundary, in UTF-8, with one file at most",
            found=ascii(str(exc))[:120],
            advice="let a library write the form",
        ) from exc
    try:
        return model.model_validate(_fields(form, model)), await _image(form)
    finally:
        await form.close()


def openapi_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return what OpenAPI says of such a body.

    Args:
        model: what it must fit.
    """
    schema = model.model_json_schema()
    properties = {name: _form_schema(said) for name, said in schema["properties"].items()}
    properties["image"] = {"type": "string", "format": "binary", "description": "An image file."}
    form = {**schema, "properties": properties}
    form.pop("examples", None)
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


class _Parser(MultiPartParser):
    """Starlette's parser, which takes a field that is no UTF-8 for Latin-1; this one refuses it."""

    def on_part_end(self) -> None:
        """Look at a field before it becomes a text."""
        if self._current_part.file is None:
            bytes(self._current_part.data).decode("utf-8")
        super().on_part_end()


def _form_schema(said: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field of a form, which holds no null, and objects as JSON."""
    some = [one for one in said.get("anyOf", []) if one.get("type") != "null"]
    kept = {key: value for key, value in said.items() if key not in ("anyOf", "default")}
    plain = {**kept, **some[0]} if len(some) == 1 else kept
    if plain.get("type") == "object":
        return {"type": "string", "contentMediaType": "application/json"}
    return plain


def _fields(form: FormData, model: type[BaseModel]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name in form:
        values = form.getlist(name)
        if name == "image":
            continue
        if any(isinstance(value, UploadFile) for value in values):
            raise _wrong(name, "a text, not a file")
        annotation = str(model.model_fields[name].annotation) if name in model.model_fields else ""
        if annotation.startswith("list"):
            said[name] = values
        elif len(values) > 1:
            raise _wrong(name, "one value")
        elif annotation.startswith("dict"):
            said[name] = _object(name, str(values[0]))
        else:
            said[name] = values[0]
    return said


def _object(name: str, text: str) -> Any:  # noqa: ANN401 - checked by the model
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise _wrong(name, "a JSON object") from exc


async def _image(form: FormData) -> bytes | None:
    given = form.getlist("image")
    if not given:
        return None
    image = given[0]
    if len(given) > 1 or not isinstance(image, UploadFile):
        raise _wrong("image", "one file")
    return await image.read()


def _wrong(name: str, expected: str) -> RefusedError:
    return RefusedError(
        422,
        f"the field {ascii(name)[:80]} cannot be used",
        expected=expected,
        advice="GET /openapi.json describes every field",
    )
