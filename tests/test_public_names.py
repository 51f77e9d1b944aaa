"""The public names: complete, documented, and imported only when they are used."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest

import commonspace

ROOT = Path(commonspace.__file__).parent

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages([str(ROOT)], "commonspace.")
    if not module.name.endswith("__main__")
)


def path_of(name: str) -> Path:
    module = importlib.util.find_spec(name)
    assert module is not None
    assert module.origin is not None
    return Path(module.origin)


def tree_of(name: str) -> ast.Module:
    return ast.parse(path_of(name).read_text("utf-8"))


def test_all_modules_are_checked() -> None:
    """Discovery must find all files: an empty list would pass every test below."""
    files = {path for path in ROOT.rglob("*.py") if path.name != "__main__.py"}
    assert {path_of(name) for name in MODULES} | {ROOT / "__init__.py"} == files


def test_every_public_name_resolves() -> None:
    assert len(set(commonspace.__all__)) == len(commonspace.__all__)
    for name in commonspace.__all__:
        assert getattr(commonspace, name).__name__ == name
    modules = [name for name in dir(commonspace) if name not in commonspace.__all__]
    assert modules == sorted([*commonspace._MODULES, "__version__"], key=dir(commonspace).index)


def test_public_modules_are_attributes() -> None:
    """After ``import commonspace`` alone, in a process that has imported nothing else."""
    names = ", ".join(f"cs.{name}.__name__" for name in commonspace._MODULES)
    script = f"import commonspace as cs; print({names}, cs.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    modules = [f"commonspace.{name}" for name in commonspace._MODULES]
    assert done.stdout.split() == [*modules, commonspace.__version__]
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"cli"} <= set(commonspace._MODULES)


@pytest.mark.parametrize("package", ["methods", "errors"])
def test_every_class_of_a_package_is_a_public_name(package: str) -> None:
    module = importlib.import_module(f"commonspace.{package}")
    classes = {name for name in module.__all__ if inspect.isclass(getattr(module, name))}
    assert classes <= set(commonspace.__all__)


def test_every_loss_is_a_public_name() -> None:
    losses = {name for name in commonspace.losses.__all__ if name.endswith("_loss")}
    assert losses <= set(commonspace.__all__)


def test_the_import_takes_milliseconds() -> None:
    script = (
        "import time, typing, importlib; start = time.perf_counter(); import commonspace;"
        " print(time.perf_counter() - start)"
    )
    seconds = [
        float(subprocess.check_output([sys.executable, "-c", script], text=True)) for _ in range(5)
    ]
    assert min(seconds) < 0.05


def test_type_checkers_see_the_same_names() -> None:
    """The imports for type checkers, ``_HOMES`` and ``__all__`` agree."""
    tree = tree_of("commonspace")
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("commonspace.")
        for alias in node.names
    }
    assert seen == commonspace._HOMES
    assert set(seen) == set(commonspace.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        _ = commonspace.unknown


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import commonspace", ("torch", "numpy", "scipy", "PIL", "rich", "typer")),
        ("import commonspace.data, commonspace.evaluation", ("torch", "safetensors", "rich")),
        ("from commonspace import Dataset, load_dataset, mean_average_precision", ("torch",)),
    ],
)
def test_imports_load_nothing_heavy(code: str, absent: tuple[str, ...]) -> None:
    script = f"import sys; {code}; print(*[m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def defined(tree: ast.Module) -> Iterator[str]:
    """Names that a module defines: classes, functions, constants, types."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def exported(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return None


@pytest.mark.parametrize("name", MODULES)
def test_exported_names_exist(name: str) -> None:
    tree = tree_of(name)
    names = exported(tree)
    if names is None:  # a package without names of its own
        assert path_of(name).name == "__init__.py"
        assert len(tree.body) == 1
        return
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(names) <= set(defined(tree)) | imported
    assert not [name for name in names if name.startswith("_")]
    public = {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
    }
    assert public <= set(names), "public by name, but not exported"


def documented(tree: ast.Module) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef]]:
    """Public functions and classes, and the public methods of these."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node
            for below in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(below, ast.FunctionDef) and not below.name.startswith("_"):
                    yield f"{node.name}.{below.name}", below


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_is_documented(name: str) -> None:
    tree = tree_of(name)
    assert ast.get_docstring(tree), "the module"
    for what, node in documented(tree):
        assert ast.get_docstring(node), what


def public_functions() -> Iterator[tuple[str, object]]:
    for name in commonspace.__all__:
        value = getattr(commonspace, name)
        yield name, value
        if inspect.isclass(value):
            for below, member in vars(value).items():
                if inspect.isfunction(member) and not below.startswith("_"):
                    yield f"{name}.{below}", member


def arguments(value: object) -> list[str]:
    """Return the names of the arguments; of a class, those that it declares itself."""
    if not inspect.isclass(value):
        assert callable(value)
        return [name for name in inspect.signature(value).parameters if name != "self"]
    if getattr(value, "_is_protocol", False) or issubclass(value, Exception):
        return []
    if is_dataclass(value):
        own = inspect.get_annotations(value)
        return [field.name for field in fields(value) if field.init and field.name in own]
    if "__init__" not in vars(value):
        return []
    return [name for name in inspect.signature(value).parameters if name != "self"]


def described(value: object) -> str:
    """Return the docstring; of a class with those of its bases and attributes."""
    text = inspect.getdoc(value) or ""
    if inspect.isclass(value):
        bases = [base for base in value.__mro__ if base.__module__.startswith("commonspace")]
        text += "".join(base.__doc__ or "" for base in bases)
        (tree,) = ast.parse(dedent(inspect.getsource(value))).body
        assert isinstance(tree, ast.ClassDef)
        for node, below in pairwise(tree.body):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                text += f"\n{ast.unparse(node.target)}:"
    return text


BRIEF = {  # one line is enough
    "Callback.on_advance",
    "Callback.on_epoch_end",
    "Callback.on_message",
    "Callback.on_status",
    "ComparisonResult.save",
    "Dataset.take",
    "Features.digest",
    "Features.take",
    "Images.digest",
    "Images.take",
    "Network.embed",
    "ProgressBar.on_advance",
    "ProgressBar.on_epoch_end",
    "ProgressBar.on_message",
    "ProgressBar.on_start",
    "ProgressBar.on_status",
    "Texts.digest",
    "Texts.take",
}


@pytest.mark.parametrize(
    ("name", "value"), [pytest.param(*pair, id=pair[0]) for pair in public_functions()]
)
def test_arguments_of_public_names_are_documented(name: str, value: object) -> None:
    text = described(value)
    missing = [argument for argument in arguments(value) if f"{argument}:" not in text]
    if name in BRIEF:
        assert missing, f"{name} has its Args: take it off the list"
        return
    assert not missing
