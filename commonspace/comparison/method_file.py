"""User-defined methods: ``FILE.py:Class``, loaded alike in every process."""

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from commonspace.errors import CommonspaceError, SettingError
from commonspace.methods import Method

__all__ = ["MethodFile", "load_method", "read_method_file"]


@dataclass(frozen=True)
class MethodFile:
    """The content of a file at the time it was read; later edits do not change a comparison.

    Args:
        path: absolute; tracebacks name it.
        source: its content.
    """

    path: Path
    source: bytes

    @property
    def module(self) -> str:
        """Name of its module; other content has another name, and so other runs."""
        return f"commonspace_method_{self.path.stem}_{sha256(self.source).hexdigest()[:12]}"

    def load(self) -> ModuleType:
        """Return the module, loaded once in a process; its output goes to standard error.

        Raises:
            SettingError: it raises while it is loaded.
        """
        loaded = sys.modules.get(self.module)
        if loaded is not None:
            return loaded
        module = ModuleType(self.module)
        module.__file__ = str(self.path)
        sys.modules[self.module] = module  # before it runs: dataclasses look there
        try:
            with redirect_stdout(sys.stderr):
                exec(compile(self.source, self.path, "exec"), module.__dict__)
        except (Exception, SystemExit) as exc:
            del sys.modules[self.module]
            raise SettingError(
                f"{self.path} fails while it is loaded",
                expected="a Python file with a method, whose imports are installed",
                found=f"{type(exc).__name__}: {exc}",
                advice="correct the file; it cannot import files in its own folder",
            ) from exc
        return module


def read_method_file(path: Path) -> MethodFile:
    """Read a file without loading it.

    Raises:
        SettingError: the file does not exist, or it cannot be read.
    """
    try:
        return MethodFile(path.resolve(), path.read_bytes())
    except OSError as exc:
        raise SettingError(
            f"{path} cannot be loaded",
            expected="a Python file with a method",
            found=exc.strerror or str(exc),
            advice="check the path",
        ) from exc


def load_method(spec: str) -> tuple[Method, MethodFile]:
    """Return the method that ``FILE.py:Class`` names, with its defaults, and its file.

    Raises:
        SettingError: the file or the class does not exist, or it cannot be loaded or made.

    Example:
        >>> load_method("nearest.py")
        Traceback (most recent call last):
        commonspace.errors.SettingError: nearest.py names no method
          expected: FILE.py:Class
          found:    no class after a colon
          to do:    add the name of the class, as in nearest.py:Nearest
    """
    file, _, name = spec.rpartition(":")
    if not file or not name.isidentifier():
        raise SettingError(
            f"{spec} names no method",
            expected="FILE.py:Class",
            found="no class after a colon",
            advice="add the name of the class, as in nearest.py:Nearest",
        )
    source = read_method_file(Path(file))
    module = source.load()
    method_class = getattr(module, name, None)
    if not isinstance(method_class, type):
        classes = [
            key
            for key, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__
        ]
        raise SettingError(
            f"{file} has no class {name}",
            expected="one of the classes in it",
            found=", ".join(classes) or "no class",
            advice="check the name",
        )
    try:
        return method_class(), source
    except CommonspaceError:
        raise
    except Exception as exc:
        raise SettingError(
            f"{spec} cannot be made without arguments",
            expected="a valid default for every setting",
            found=f"{type(exc).__name__}: {exc}",
            advice="give each field of the dataclass a default",
        ) from exc
