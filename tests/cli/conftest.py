"""What the tests of the commands share: a small feature file, a trained run, a way to call."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from commonspace.cli.main import build

SMALL = (
    "--hidden-dim",
    "16",
    "--embedding-dim",
    "8",
    "--device",
    "cpu",
    "--learning-rate",
    "0.003",
)

Call = Callable[..., Result]


@pytest.fixture(scope="session")
def call() -> Call:
    """Run ``commonspace`` with these words in this process."""
    return lambda *words: CliRunner().invoke(build(), [str(word) for word in words])


@pytest.fixture(scope="session")
def points_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a small feature file: three classes, two modalities, three splits."""
    draw = np.random.default_rng(3)
    label = np.arange(120) % 3
    path = tmp_path_factory.mktemp("data") / "points.npz"
    np.savez(
        path,
        image=draw.normal(size=(3, 12))[label] + 0.6 * draw.normal(size=(120, 12)),
        text=draw.normal(size=(3, 7))[label] + 0.6 * draw.normal(size=(120, 7)),
        label=label,
        class_names=np.array(["ant", "bee", "cat"]),
        split=np.repeat(["train", "validation", "test"], [72, 24, 24]),
    )
    return path


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory, points_file: Path, call: Call) -> Path:
    """Return the folder of a finished training on the small feature file; nobody changes it."""
    folder = tmp_path_factory.mktemp("runs") / "points"
    result = call(
        "train", points_file, "--method", "dscmr", "--out", folder, "--epochs", 12, *SMALL
    )
    assert result.exit_code == 0, result.stderr
    return folder


@pytest.fixture(scope="session", autouse=True)
def default_sigint() -> Iterator[None]:
    """Restore the handling of SIGINT, which background jobs of a shell ignore and pass on."""
    before = signal.getsignal(signal.SIGINT)
    if before == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
