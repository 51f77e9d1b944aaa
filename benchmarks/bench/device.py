"""Speed on an accelerator: training, evaluation, posteriors and extraction; see benchmarks/gpu.sh.

    python -m benchmarks.bench.device                       on the accelerator
    python -m benchmarks.bench.device --smallest --device cpu    rehearses it in seconds

The step as a CUDA graph replays all kernels of a step with one launch. On other devices the same
step runs as it is.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

import commonspace as cs
from benchmarks.bench import evaluation, posteriors
from benchmarks.bench.encoders import BATCH, vgg19
from benchmarks.bench.measure import Bar, Rival, Work, measure, table
from benchmarks.bench.released import released_epochs
from benchmarks.bench.training import Shapes, least, networks, official_loss, step_work
from commonspace.encoders import Extraction, extract
from commonspace.machine import choose_device
from commonspace.training import Batch

__all__ = ["main", "works"]

WARM_UP = 3


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.bench.device",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--smallest", action="store_true", help="seconds; checks the results only")
    options = parser.parse_args(arguments)
    device = choose_device(options.device)
    rows = []
    for work in works(device, smallest=options.smallest):
        print(f"{work.name} ...", file=sys.stderr, flush=True)
        rows.append(measure(work, 0.1 if options.smallest else 20.0))
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"{name}, PyTorch {torch.__version__}\n\n{table(rows)}")


def works(device: torch.device, *, smallest: bool) -> Iterator[Work]:
    """Yield the works."""
    small = {"samples": 40, "image": 32, "text": 16, "classes": 4, "hidden": 32, "size": 16}
    shapes = (
        Shapes(**small, batch=10, device=str(device)) if smallest else Shapes(device=str(device))
    )
    epochs = 1 if smallest else 20
    yield step_work(shapes, epochs, "float32", Bar("peer", 1.0))
    yield _graph_work(shapes, epochs)
    if smallest:
        yield from evaluation.works("smallest")
        yield from posteriors.works("smallest")
    else:
        yield from evaluation.works("full")
        yield from posteriors.works("full")
    yield _extraction(device, smallest=smallest)


def _graph_work(shapes: Shapes, epochs: int) -> Work:
    """Return the released step of DSCMR as one CUDA graph, with fused Adam."""
    steps = epochs * (shapes.samples // shapes.batch)
    network, released = networks(shapes)
    tensors = [torch.from_numpy(column.values) for column in shapes.columns.values()]
    images, texts = (one.to(shapes.device) for one in tensors)
    labels = torch.from_numpy(shapes.labels).float().to(shapes.device)
    static = [one[: shapes.batch].clone() for one in (images, texts, labels)]
    everyone = torch.ones(shapes.batch, dtype=torch.bool, device=shapes.device)
    present = {"image": everyone, "text": everyone}
    optimizer = torch.optim.Adam(
        network.parameters(), lr=1e-4, betas=(0.5, 0.999), fused=True,
        capturable=shapes.device.type == "cuda",
    )  # fmt: skip

    def step() -> Tensor:
        batch = Batch({"image": static[0], "text": static[1]}, present, static[2], complete=True)
        loss = official_loss(network, batch)["loss"]
        optimizer.zero_grad(set_to_none=False)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    replay = _captured(step, shapes.device)

    def ours() -> float:
        total = torch.zeros((), device=shapes.device)
        for number in range(steps):
            start = number * shapes.batch % shapes.samples
            for one, whole in zip(static, (images, texts, labels), strict=True):
                one.copy_(whole[start : start + shapes.batch])
            total += replay()
        return float(total) / steps

    def peer() -> list[float]:
        return released_epochs(released, images, texts, labels, epochs, shapes.batch)

    def check() -> None:
        before = ours()
        assert ours() < before  # each call trains one more step
        peer()

    return Work(
        f"DSCMR, {steps} steps as a graph, float32, {shapes.device.type}",
        ours,
        Rival("released code", peer),
        Rival("its products and one pass of Adam", least(shapes, steps)),
        (Bar("peer", 1 / 25),) if shapes.device.type == "cuda" else (),
        check,
    )


def _captured(step: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """Return a call that replays a step as a CUDA graph; without CUDA, the step itself."""
    if device.type != "cuda":
        return step
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay() -> Tensor:
        graph.replay()
        return loss

    return replay


def _extraction(device: torch.device, *, smallest: bool) -> Work:
    """Return extraction of photos in memory, against the network on tensors on the device."""
    count, width = (8, 4) if smallest else (1024, 64)
    encoder = vgg19(width)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 256, 256, 3), dtype=np.uint8)
    data = cs.Dataset(
        name="photos",
        ids=tuple(map(str, range(count))),
        columns={"image": cs.Images(tuple(pixels))},
        labels=np.ones((count, 1), dtype=bool),
        class_names=("any",),
        splits=np.full(count, "train"),
    )
    ready = encoder.input(data.columns["image"])

    def ours() -> None:
        encoder.backbone.to("cpu")
        extract(data, {"image": encoder}, Extraction(batch_size=BATCH, device=str(device)))

    @torch.inference_mode()
    def bare() -> None:
        encoder.backbone.to(device)
        for batch in torch.split(ready, BATCH):
            encoder.backbone(batch.to(device))
        if device.type == "cuda":
            torch.cuda.synchronize()

    return Work(
        f"extraction of {count:,} photos of 224 x 224 by VGG-19, {device.type}",
        ours,
        limit=Rival("bare network", bare),
        bars=(Bar("limit", 1 / 0.9),) if device.type == "cuda" else (),
    )


if __name__ == "__main__":
    main()
