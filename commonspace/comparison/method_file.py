"""A Python file of somebody else with a method in it, loaded alike in every process.

It knows nothing of what the method does.
"""

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from commonspace.errors import SettingError

__all__ = ["MethodFile", "read_method_file"]


@dataclass(frozen=True)
class MethodFile:
    """The file as it was when it was read; editing it later changes no comparison in work.

    Args:
        path: absolute; tracebacks name it.
        source: its content.
    """

    path: Path
    source: bytes

    @property
    def module(self) -> str:
        """The name of its module: another content has another name, and so other cells."""
        return f"commonspace_method_{self.path.stem}_{sha256(self.source).hexdigest()[:12]}"

    def load(self) -> ModuleType:
        """Return the module, loaded once in a process; what it prints goes to standard error.

        Raises:
            SettingError: it fails while it is loaded.
        """
        known = sys.modules.get(self.module)
        if known is not None:
            return known
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
                expected="a Python file with a method, and all that it needs in it or installed",
                found=f"{type(exc).__name__}: {exc}",
                advice="mend it; modules that lie beside it are not found",
            ) from exc
        return module


def read_method_file(path: Path) -> MethodFile:
    """Read a file without loading it.

    Raises:
        SettingError: there is no such file, or it cannot be read.
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
