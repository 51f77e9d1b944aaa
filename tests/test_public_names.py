"""The public names: complete, documented, and free of weight until they are used."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

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


def test_all_modules_are_looked_at() -> None:
    """Discovery must find what is on the disk: an empty list would pass everything below."""
    files = {path for path in ROOT.rglob("*.py") if path.name != "__main__.py"}
    assert {path_of(name) for name in MODULES} | {ROOT / "__init__.py"} == files


def test_every_public_name_resolves() -> None:
    assert len(set(commonspace.__all__)) == len(commonspace.__all__)
    for name in commonspace.__all__:
        assert getattr(commonspace, name).__name__ == name
    assert dir(commonspace) == sorted(commonspace.__all__)


def test_the_types_that_an_editor_sees_are_the_names_that_there_are() -> None:
    """The imports for type checkers, the homes and ``__all__`` name the same things."""
    tree = tree_of("commonspace")
    seen = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("commonspace.")
        for alias in node.names
    }
    assert seen == commonspace._HOMES
    assert set(seen) == set(commonspace.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = commonspace.nothing


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
    """Names that a module makes itself: classes, functions, constants, types."""
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
def test_what_a_module_exports_is_there(name: str) -> None:
    tree = tree_of(name)
    names = exported(tree)
    if names is None:  # a room without names of its own, such as one of networks
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
    assert not [one for one in names if one.startswith("_")]
    public = {
        node.name
        for node in tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
    }
    assert public <= set(names), "public by name, though not exported"


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
        thing = getattr(commonspace, name)
        yield name, thing
        if inspect.isclass(thing):
            for below, member in vars(thing).items():
                if inspect.isfunction(member) and not below.startswith("_"):
                    yield f"{name}.{below}", member


def arguments(thing: object) -> list[str]:
    """Return the names of the arguments; those of a class are those of its own ``__init__``."""
    if inspect.isclass(thing):
        if "__init__" not in vars(thing) or thing is commonspace.Method:
            return []
        thing = thing.__init__
    assert callable(thing)
    return [name for name in inspect.signature(thing).parameters if name != "self"]


BRIEF = {  # one line says it all
    "Dataset.take",
    "Features.take",
    "Features.digest",
    "Images.take",
    "Images.digest",
    "Texts.take",
    "Texts.digest",
    "CommonSpace.embed_dataset",
    "CommonSpace.save",
    "CommonSpace.write",
}


@pytest.mark.parametrize(
    ("name", "thing"), [pytest.param(*pair, id=pair[0]) for pair in public_functions()]
)
def test_arguments_of_public_names_are_documented(name: str, thing: object) -> None:
    text = inspect.getdoc(thing) or ""
    missing = [one for one in arguments(thing) if f"{one}:" not in text]
    if name in BRIEF:
        assert missing, f"{name} has its Args: take it off the list"
        return
    assert not missing
