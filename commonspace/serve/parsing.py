"""Request bodies, JSON or multipart/form-data, as validated models and an uploaded image."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from typing import Any, TypeVar, get_args

from fastapi import Request
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from commonspace.json_text import parse_json
from commonspace.serve.errors import RequestError

__all__ = ["describe_body", "parse"]

ModelT = TypeVar("ModelT", bound=BaseModel)

MAX_FIELDS = 250
MAX_FIELD_BYTES = 2**20
"""Of one text field."""
MAX_TEXT_BYTES = 2 * 2**20
"""Of all text fields of a form, which are held in memory."""
BLOCK_BYTES = 2**18
"""Bytes of a form that are parsed and written at a time: each time, a thread is woken for it."""


@asynccontextmanager
async def parse(
    request: Request, model: type[ModelT], admit: Callable[[], AbstractContextManager[None]]
) -> AsyncIterator[tuple[ModelT, UploadFile | None]]:
    """Return the body of a request as a model, and the uploaded image, for the block.

    Large images stay in a temporary file until they are read.

    Args:
        request: its body is read here.
        model: what the JSON, or the fields of the form, must match.
        admit: entered when the image begins to arrive, and left at the end of the block.

    Raises:
        RequestError: ``admit`` refuses the image; neither JSON nor a form; a form that is
            malformed, or has a field twice.
        ValidationError: The body does not match the model.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type == "application/json":
        yield model.model_validate_json(await request.body()), None
        return
    if content_type != "multipart/form-data":
        raise RequestError(
            415,
            "unsupported content type",
            expected="application/json or multipart/form-data",
            found=ascii(content_type)[:80],
            advice="send JSON, or a form if there is an image",
        )
    with ExitStack() as uploads:
        parser = _Parser(
            request.headers,
            _in_blocks(request.stream()),
            max_files=1,
            max_fields=MAX_FIELDS,
            max_part_size=MAX_FIELD_BYTES,
        )
        parser.on_file = lambda: uploads.enter_context(admit())
        try:
            form = await parser.parse()
        except (MultiPartException, UnicodeDecodeError, LookupError) as exc:
            raise RequestError(
                400,
                "malformed form",
                expected="multipart/form-data with a boundary, in UTF-8, with at most one file",
                found=ascii(str(exc))[:120],
                advice="use a library to create the form",
            ) from exc
        try:
            yield model.model_validate(_read_fields(form, model)), _find_image(form)
        finally:
            await form.close()


def describe_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return the OpenAPI description of a body that is JSON or a form with an image.

    Args:
        model: what it must match.
    """
    schema = model.model_json_schema()
    properties = {name: _describe_field(field) for name, field in schema["properties"].items()}
    properties["image"] = {"type": "string", "format": "binary", "description": "An image file."}
    form = {**schema, "properties": properties}
    form.pop("examples", None)
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


async def _in_blocks(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    block, size = bytearray(), 1  # the first ones are short: a photo is counted when it begins
    async for chunk in stream:
        block += chunk
        if len(block) >= size:
            yield bytes(block)
            block.clear()
            size = min(BLOCK_BYTES, 2 * size + 1024)
    if block:
        yield bytes(block)


class _Parser(MultiPartParser):
    """Starlette's parser with a limit for all texts; invalid UTF-8 is refused."""

    on_file: Callable[[], None]
    """Called when a file begins to arrive."""
    _text_bytes = 0

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is not None:
            self.on_file()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is None:
            self._text_bytes += end - start
            if self._text_bytes > MAX_TEXT_BYTES:
                raise MultiPartException(f"more than {MAX_TEXT_BYTES:,} bytes of text")
        super().on_part_data(data, start, end)

    def on_part_end(self) -> None:
        if self._current_part.file is None:
            bytes(self._current_part.data).decode("utf-8")
        super().on_part_end()


def _describe_field(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a form field: without null, objects as JSON text."""
    types = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
    plain = {**rest, **types[0]} if len(types) == 1 else rest
    if plain.get("type") == "object":
        return {"type": "string", "contentMediaType": "application/json"}
    return plain


def _read_fields(form: FormData, model: type[BaseModel]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in form:
        values = form.getlist(name)
        if name == "image":
            continue
        if any(isinstance(value, UploadFile) for value in values):
            raise _invalid(name, "a text, not a file")
        annotation = model.model_fields[name].annotation if name in model.model_fields else None
        if str(annotation).startswith("list") and "float" not in str(annotation):
            fields[name] = values
        elif len(values) > 1:
            raise _invalid(name, "one value")
        elif str(annotation).startswith(("dict", "list")):  # an object, or a vector
            fields[name] = _read_json(name, str(values[0]))
        else:
            fields[name] = _read_text(annotation, str(values[0]))
    return fields


def _read_text(annotation: object, text: str) -> object:
    """Return the value that a text means in a field of numbers, or of true and false.

    A text that means none stays as it is, for the model to refuse.
    """
    kind = _scalar(annotation)
    if kind is None:
        return text
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return text


def _scalar(annotation: object) -> type[bool | int | float] | None:
    """Return bool, int or float where an annotation, such as ``float | None``, has it."""
    for kind in (bool, int, float):
        if annotation is kind:
            return kind
    return next(filter(None, map(_scalar, get_args(annotation))), None)


def _read_json(name: str, text: str) -> Any:  # noqa: ANN401 - validated by the model
    try:
        return parse_json(text)
    except ValueError as exc:
        raise _invalid(name, "JSON") from exc


def _find_image(form: FormData) -> UploadFile | None:
    values = form.getlist("image")
    if not values:
        return None
    image = values[0]
    if len(values) > 1 or not isinstance(image, UploadFile):
        raise _invalid("image", "one file")
    return image


def _invalid(name: str, expected: str) -> RequestError:
    return RequestError(
        422,
        f"invalid field {ascii(name)[:80]}",
        expected=expected,
        advice="GET /openapi.json describes every field",
    )
