"""Optional packages: fetched when first used, and named with the command that installs them.

This module knows nothing of what they are used for.
"""

from importlib import import_module
from typing import Any

from commonspace.errors import MissingExtraError

__all__ = ["optional"]


def optional(package: str, purpose: str, extra: str = "encoders") -> Any:  # noqa: ANN401 - a module of somebody else
    """Import an optional package.

    Args:
        package: what to import, such as "transformers".
        purpose: what it is needed for, in a few words.
        extra: the group of optional packages that it belongs to.

    Raises:
        MissingExtraError: it is not installed.

    Example:
        >>> optional("json", "nothing in particular").dumps([1])
        '[1]'
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as exc:
        if exc.name != package.partition(".")[0]:
            raise  # it is there and lacks something of its own
        raise MissingExtraError(
            f"{purpose} needs the package {package}, which is not installed",
            expected=f"the optional packages for {extra}",
            found=f"no module named {package!r}",
            advice=f'pip install "commonspace[{extra}]"',
        ) from exc
