"""JSON of files that may be damaged or hostile."""

import json
from typing import Any

__all__ = ["parse_json"]


def parse_json(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON
    """Return the value of a JSON text.

    Raises:
        ValueError: If it is not JSON, or nested so deeply that it cannot be read.

    Example:
        >>> parse_json("[" * 100_000)
        Traceback (most recent call last):
            ...
        ValueError: nested too deeply
    """
    try:
        return json.loads(text)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
