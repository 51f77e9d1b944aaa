"""Fixtures for all tests: small data sets drawn from a seed, a recording observer, and markers."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import pytest
from numpy.typing import NDArray

from commonspace.callbacks import Callback, EpochRecord
from commonspace.data import Dataset, Features, Images, Texts

if TYPE_CHECKING:  # tests of packages without torch start without it
    from torch import Tensor

CLASSES = ("ant", "bee", "cat", "dog")
MARKERS = {"browser": "browser", "listening": "server"}
"""Tests with a fixture of this name get this marker."""


SLOW = frozenset(Path(__file__).with_name("slow_tests.txt").read_text("utf-8").split())
"""Tests that took long when they were last timed, beside those with the marker in the code.

`pytest --durations=0` gives the times; `make test-fast` must stay under a minute.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that are slow, drive a browser or start a server."""
    for item in items:
        if getattr(item, "originalname", item.name) in SLOW:
            item.add_marker("slow")
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKERS:
                item.add_marker(MARKERS[fixture])


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the cache of the user out of the fixtures of a whole run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMONSPACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", autouse=True)
def cache_of_the_file(
    cache_of_the_run: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Give the tests of a file an empty cache folder: what other files stored changes nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMONSPACE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def bfloat16_ability() -> Iterator[None]:
    """Let torch report bfloat16 multiplication or not, as COMMONSPACE_TEST_BFLOAT16 wants it."""
    wanted = os.environ.get("COMMONSPACE_TEST_BFLOAT16")
    if wanted is None:
        yield
        return
    import torch

    present = wanted == "present"
    abilities = {**torch.cpu.get_capabilities(), "avx512_bf16": present, "amx_bf16": False}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
        yield


@pytest.fixture(scope="session", autouse=True)
def other_rounding() -> Iterator[None]:
    """Round products as another processor might, where COMMONSPACE_TEST_ROUNDING is "other".

    Every product is changed by up to 8 units in the last place. The change depends on the shapes,
    so that a row comes out differently in another batch, and not on anything else.
    """
    if os.environ.get("COMMONSPACE_TEST_ROUNDING") != "other":
        yield
        return
    import torch
    from torch.nn import functional
    from torch.overrides import TorchFunctionMode

    products = {functional.linear, functional.conv1d, functional.conv2d, torch.matmul, torch.mm}
    products |= {torch.bmm, torch.addmm, torch.einsum, torch.cdist, torch.exp, torch.Tensor.exp}
    products |= {torch.Tensor.matmul, torch.Tensor.__matmul__, torch.Tensor.__rmatmul__}
    products |= {torch.Tensor.mm, functional.softmax, torch.softmax, torch.Tensor.softmax}

    class Rounding(TorchFunctionMode):
        def __torch_function__(
            self,
            func: Callable[..., Any],
            types: Any,  # noqa: ANN401
            args: tuple[Any, ...] = (),
            kwargs: dict[str, Any] | None = None,
        ) -> Any:  # noqa: ANN401
            result = func(*args, **(kwargs or {}))
            if func in products and result.dtype in (torch.float32, torch.float64):
                shapes = [tuple(one.shape) for one in args if isinstance(one, torch.Tensor)]
                generator = torch.Generator().manual_seed(crc32(repr(shapes).encode()))
                noise = torch.empty(result.shape, dtype=result.dtype)
                noise.uniform_(-8, 8, generator=generator)
                noise[result == result.round()] = 0  # sums of whole numbers are exact everywhere
                result.data.mul_(1 + noise * torch.finfo(result.dtype).eps)
            return result

    with Rounding():
        yield


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Take back what a command set in this process: what ``serve`` logs, no other test is to."""
    root, ours = logging.getLogger(), logging.getLogger("commonspace")
    handlers, level = list(root.handlers), ours.level
    yield
    ours.setLevel(level)
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)


def features_data(
    modalities: Mapping[str, int], *, train: int = 40, validation: int = 24, test: int = 16
) -> Dataset:
    """Return noisy features around a centre for each class, one class a sample."""
    draw = np.random.default_rng(7)
    n = train + validation + test
    classes = np.arange(n) % len(CLASSES)
    return Dataset(
        name="points",
        ids=tuple(f"point {i}" for i in range(n)),
        columns={
            name: Features(
                draw.normal(size=(len(CLASSES), size))[classes] + draw.normal(size=(n, size))
            )
            for name, size in modalities.items()
        },
        labels=np.eye(len(CLASSES), dtype=bool)[classes],
        class_names=CLASSES,
        splits=_splits(train, validation, test),
    )


def raw_data(*, train: int = 16, validation: int = 12, test: int = 8) -> Dataset:
    """Return pictures of a hue for each class in noise, and texts with a word for each class."""
    draw = np.random.default_rng(8)
    n = train + validation + test
    classes = np.arange(n) % 3
    hues = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])
    noise = draw.integers(-60, 56, size=(n, 64, 64, 3))
    pictures = (hues[classes][:, None, None] + noise).astype(np.uint8)
    return Dataset(
        name="hues",
        ids=tuple(f"hue {i}" for i in range(n)),
        columns={
            "image": Images(list(pictures)),
            "text": Texts(
                [
                    (f"{draw.choice(('some', 'a', 'one'))} {word} {draw.choice(('wall', 'door'))}",)
                    for word in np.array(["red", "green", "blue"])[classes]
                ]
            ),
        },
        labels=np.eye(3, dtype=bool)[classes],
        class_names=("red", "green", "blue"),
        splits=_splits(train, validation, test),
    )


def _splits(train: int, validation: int, test: int) -> NDArray[np.str_]:
    return np.repeat(["train", "validation", "test"], [train, validation, test])


@dataclass
class Witness(Callback):
    """A callback that copies the weights after each epoch, and may end the run like a kill."""

    dies_in: int | None = None
    """Epoch in which it dies, after training and before it can be saved."""
    started_with: list[tuple[int | None, int, int]] = field(default_factory=list)
    """(total steps, steps done before, length of the history) of each training."""
    steps: int = 0
    endings: int = 0
    records: list[EpochRecord] = field(default_factory=list)
    weights: "dict[int, dict[str, Tensor]]" = field(default_factory=dict)

    training: bool = False

    def on_start(
        self,
        task: str,
        total: int | None = None,
        done: int = 0,
        history: Sequence[EpochRecord] = (),
    ) -> None:
        self.training = task in ("training", "fitting")
        if self.training:
            self.started_with.append((total, done, len(history)))

    def on_advance(self, steps: int = 1) -> None:
        self.steps += steps * self.training

    def on_epoch_end(self, record: EpochRecord, network: Any) -> None:  # noqa: ANN401
        assert not network.training
        self.records.append(record)
        self.weights[record.epoch] = {k: v.clone() for k, v in network.state_dict().items()}
        if record.epoch == self.dies_in:
            raise KeyboardInterrupt

    def on_end(self) -> None:
        self.endings += self.training


class Lines(Callback):
    """A callback that keeps the messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def lines() -> Lines:
    """Return such a callback."""
    return Lines()


@pytest.fixture
def witness() -> Callable[..., Witness]:
    """Make such callbacks."""
    return Witness


@pytest.fixture(scope="session")
def feature_dataset() -> Dataset:
    """Features of two modalities, four classes: 40 + 24 + 16 samples."""
    return features_data({"image": 6, "text": 5})


@pytest.fixture(scope="session")
def three_modalities() -> Dataset:
    """Features of three modalities, two of which have names that torch refuses for modules."""
    return features_data({"image": 6, "type": 5, "sound.wav": 4})


@pytest.fixture(scope="session")
def raw_dataset() -> Dataset:
    """Raw images and texts, three classes: 16 + 12 + 8 samples."""
    return raw_data()


@pytest.fixture
def in_process_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the tasks of a comparison in this process, since worker processes are slow to start.

    Tasks and results are the same.
    """
    from commonspace.comparison import benchmark, workers

    monkeypatch.setattr(
        benchmark, "start_pool", lambda context, count: workers.start_pool(context, 0)
    )
