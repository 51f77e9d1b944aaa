"""A method of somebody else in a row of the comparison: a Python file and the name of its class.

It knows nothing of what the method does.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from commonspace.comparison.rows import Row
from commonspace.errors import SettingError

__all__ = ["load_file", "row_from_file"]


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
    module = load_file(Path(file))
    kind = getattr(module, name, None)
    if not isinstance(kind, type):
        there = [one for one, thing in vars(module).items() if isinstance(thing, type)]
        raise SettingError(
            f"{file} has no class {name}",
            expected="one of the classes in it",
            found=", ".join(there) or "no class at all",
            advice="check the name",
        )
    try:
        method = kind()
    except TypeError as exc:
        raise SettingError(
            f"{spec} cannot be made without arguments",
            expected="a default for every setting",
            found=str(exc),
            advice="give each field of the dataclass a default",
        ) from exc
    return Row(name.lower(), method)


def load_file(path: Path) -> ModuleType:
    """Load a Python file as a module that other processes find under the same name.

    Raises:
        SettingError: there is no such file, or it fails while it is loaded.
    """
    name = f"commonspace_method_{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path.resolve()):
        return known
    spec = spec_from_file_location(name, path.resolve()) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise SettingError(
            f"{path} cannot be loaded",
            expected="a Python file with a method",
            found="another kind of file" if path.exists() else "no such file",
            advice="check the path",
        )
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as exc:
        del sys.modules[name]
        raise SettingError(
            f"{path} fails while it is loaded",
            expected="a Python file with a method",
            found=f"{type(exc).__name__}: {exc}",
            advice="mend it; python FILE shows where",
        ) from exc
    return module
