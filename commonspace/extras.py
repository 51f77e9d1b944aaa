"""Optional dependencies, imported on first use."""

from importlib import import_module
from typing import Any

from commonspace.errors import MissingExtraError

__all__ = ["optional"]


def optional(package: str, purpose: str, extra: str = "encoders") -> Any:  # noqa: ANN401 - a module
    """Import an optional package.

    Args:
        package: Package to import, such as "transformers".
        purpose: What needs it, as the subject of the error message.
        extra: Extra of commonspace that installs it.

    Raises:
        MissingExtraError: If the package is not installed.

    Example:
        >>> optional("json", "this example").dumps([1])
        '[1]'
    """
    try:
        return import_module(package)
    except ModuleNotFoundError as exc:
        if exc.name != package.partition(".")[0]:
            raise  # the package is installed, one of its own dependencies is missing
        raise MissingExtraError(
            f"{purpose} needs the package {package}, which is not installed",
            expected=f"the optional packages for {extra}",
            found=f"no module named {package!r}",
            advice=f'pip install "commonspace[{extra}]"',
        ) from exc
