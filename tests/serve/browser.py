"""What the tests of the page share: a small index of drawn scenes, its service, and waiting."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import commonspace as cs
from commonspace.data import Images
from commonspace.datasets.scenes.scenes import scenes
from commonspace.encoders import extract
from commonspace.encoders.encoder import describe
from commonspace.methods import PosteriorMatching
from commonspace.methods.base.encoder_config import join_encoders
from commonspace.networks.network import MultiBranchNetwork
from commonspace.serve.app import build_app
from commonspace.serve.server import make_server
from commonspace.serve.settings import ServiceSettings

__all__ = [
    "CLASSES",
    "FLAGS",
    "PHONE",
    "WIDE",
    "Service",
    "Visit",
    "few_scenes",
    "instance_space",
    "photo_of",
    "serving",
    "shown",
    "small_targets",
    "until",
    "violations",
    "wait_for",
]

CLASSES = 6
AXE = Path(__file__).parent / "axe.min.js"
PATIENCE = 20
"""Seconds that a test waits for the page."""
WIDE = {"viewport": {"width": 1280, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
Visit = Callable[..., Any]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def few_scenes() -> cs.Dataset:
    """Return the scenes of a few classes."""
    drawn = scenes(per_class=40)
    rows = np.arange(CLASSES * 40)
    return cs.Dataset(
        name="scenes",
        ids=drawn.ids[: len(rows)],
        columns={name: column.take(rows) for name, column in drawn.columns.items()},
        labels=drawn.labels[rows, :CLASSES],
        class_names=drawn.class_names[:CLASSES],
        splits=drawn.splits[rows],
        fields={
            "color": drawn.fields["color"][: len(rows)],
            "sale": [bool(row % 3) for row in rows],
            "price": [int(row) for row in rows],
            "maker": [f"maker {row % 14:02d}" for row in rows],
            "sku": [f"PLO-{row:04d}" for row in rows],
            "note": ["=1+1" if row % 2 else 'plain, "quoted"' for row in rows],
        },
    )


def instance_space(data: cs.Dataset) -> cs.CommonSpace:
    """Return a space with an instance block: posterior matching on the backbones of DSCMR."""
    train, validation = data.split("train"), data.split("validation")
    first = cs.DSCMR(epochs=8, device="cpu").fit(train, validation)
    network = first.network
    assert isinstance(network, MultiBranchNetwork)
    encoders = {
        name: describe(
            input_,
            network.backbone(name),
            network.config.backbones[name],
            spec="dscmr",
            name="a backbone of DSCMR",
            preprocessing="that of the backbone",
            fitted_on="train",
        )
        for name, input_ in first.inputs.items()
    }
    features = extract(train, encoders), extract(validation, encoders)
    space = PosteriorMatching(epochs=5, device="cpu").fit(*features)
    return join_encoders(space, encoders)


@dataclass(frozen=True)
class Service:
    address: str
    index: cs.Index
    data: cs.Dataset

    def ids(self, **asked: Any) -> list[str]:  # noqa: ANN401 - options of search
        """Return what the index itself finds: the oracle of the page."""
        return [found.id for found in self.index.search(k=24, **asked)]


@contextmanager
def serving(place: Path, data: cs.Dataset, **settings: Any) -> Iterator[Service]:  # noqa: ANN401
    """Serve an index on this machine, for the block."""
    app = build_app(place, ServiceSettings(**{"name": "scenes", "rate": 0, **settings}))
    ready = threading.Event()
    server = make_server(app, started=lambda *_: ready.set(), stop_seconds=8)
    with socket.create_server(("127.0.0.1", 0)) as taken, cs.Index.open(place) as index:
        port = taken.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([taken],), daemon=True)
        thread.start()
        assert ready.wait(20)
        yield Service(f"http://127.0.0.1:{port}", index, data)
        server.should_exit = True
        thread.join(20)


def shown(page: Any) -> list[str]:  # noqa: ANN401
    """Return the ids on the page, in their order."""
    ids: list[str] = page.eval_on_selector_all(
        "#found [data-id]", "all => all.map(one => one.dataset.id)"
    )
    return ids


def wait_for(page: Any, ids: list[str]) -> None:  # noqa: ANN401
    """Wait until the page shows these, in this order."""
    until(lambda: shown(page) == ids)


def until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds; the policy of the page forbids to evaluate it there."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.03)


def photo_of(service: Service, row: int) -> bytes:
    """Return the picture of an item as a PNG."""
    column = service.data.columns["image"]
    assert isinstance(column, Images)
    file = io.BytesIO()
    Image.fromarray(column.items[row]).save(file, "PNG")  # type: ignore[arg-type]
    return file.getvalue()


def violations(page: Any) -> list[Any]:  # noqa: ANN401
    """Return what axe-core finds on the page as it is."""
    page.evaluate(AXE.read_text("utf-8"))
    report = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (one["id"], [(node["target"], node["failureSummary"][:200]) for node in one["nodes"]][:3])
        for one in report["violations"]
    ]


def small_targets(page: Any) -> list[str]:  # noqa: ANN401
    """Return the visible controls that are smaller than 44 x 44 pixels."""
    found: list[str] = page.evaluate(
        """() => {
            const root = document.querySelector("dialog[open]") ?? document;
            const boxes = [...root.querySelectorAll("button, select, a, input, summary")]
                .filter((one) => one.checkVisibility() && !one.closest(".skip"))
                .map((one) => (one.type === "checkbox" && one.closest("label")) || one);
            return boxes.map((one) => [one, one.getBoundingClientRect()])
                .filter(([, box]) => box.width > 1 && (box.width < 43.5 || box.height < 43.5))
                .map(([one, box]) => `${one.outerHTML.slice(0, 80)} ${box.width}x${box.height}`);
        }"""
    )
    return found
