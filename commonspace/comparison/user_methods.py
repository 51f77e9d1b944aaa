"""A method of somebody else in a row of the comparison: a Python file and the name of its class.

It knows nothing of what the method does.
"""

from pathlib import Path

from commonspace.comparison.method_file import read_method_file
from commonspace.comparison.rows import Row
from commonspace.errors import CommonspaceError, SettingError

__all__ = ["row_from_file"]


def row_from_file(spec: str) -> Row:
    """Return the row that ``FILE.py:Class`` names: the class with its defaults.

    Raises:
        SettingError: there is no such file or class, or it cannot be loaded or made.

    Example:
        >>> row_from_file("nearest.py")
        Traceback (most recent call last):
        commonspace.errors.SettingError: nearest.py names no method
          expected: FILE.py:Class
          found:    no class behind a colon
          to do:    write the name of the class behind the file
    """
    file, _, name = spec.rpartition(":")
    if not file or not name.isidentifier():
        raise SettingError(
            f"{spec} names no method",
            expected="FILE.py:Class",
            found="no class behind a colon",
            advice="write the name of the class behind the file",
        )
    source = read_method_file(Path(file))
    module = source.load()
    kind = getattr(module, name, None)
    if not isinstance(kind, type):
        there = [
            one
            for one, thing in vars(module).items()
            if isinstance(thing, type) and thing.__module__ == module.__name__
        ]
        raise SettingError(
            f"{file} has no class {name}",
            expected="one of the classes in it",
            found=", ".join(there) or "no class at all",
            advice="check the name",
        )
    try:
        method = kind()
    except CommonspaceError:
        raise
    except Exception as exc:
        raise SettingError(
            f"{spec} cannot be made without arguments",
            expected="a default for every setting, and defaults that it takes itself",
            found=f"{type(exc).__name__}: {exc}",
            advice="give each field of the dataclass a default",
        ) from exc
    return Row(name.lower(), method, file=source)
