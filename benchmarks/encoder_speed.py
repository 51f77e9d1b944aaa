"""Speed of image encoders, as photos per second of CPU time, and of their training.

    OMP_NUM_THREADS=1 python -m benchmarks.encoder_speed ../shared
    OMP_NUM_THREADS=1 python -m benchmarks.encoder_speed ../shared --training

The first table has the networks alone, on photos in memory: EfficientNet-Lite2 by torch and by
onnxruntime, MobileNetV2 at two sides, VGG-19 with random weights. The second has one epoch of the
training of an encoder with posterior matching, and a bare loop of the same network with a linear
layer, cross-entropy and Adam: without augmentation, instance block and progress. Rounds alternate,
so that other load affects all alike; CPU time is that of this process, and the figures are medians.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import commonspace as cs
from benchmarks.bench.encoders import vgg19
from commonspace.allocator import reuse_memory
from commonspace.encoders import Encoder, Source, encoder_from_spec, extract
from commonspace.methods.base.encoder_config import EncoderConfig
from commonspace.methods.base.encoder_training import BATCH as TRAINING_BATCH
from commonspace.methods.base.encoder_training import train_encoders
from commonspace.methods.posterior import PosteriorMatching

__all__ = ["main"]

BATCH = 16
CLASSES = 10
TRAINED = 640
"""Photos of the epoch of training: what is done once is small beside it."""


def main() -> None:
    """Measure and print one of the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("shared", type=Path, help="the folder with weights/")
    parser.add_argument("--training", action="store_true", help="the second table")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    size = TRAINING_BATCH if options.training else BATCH
    print(f"{torch.get_num_threads()} threads, batches of {size}")
    if options.training:
        _training(options.shared, options.rounds)
    else:
        _features(options.shared, options.rounds)


def _features(shared: Path, rounds: int) -> None:
    weights = shared / "weights"
    lite2 = weights / "efficientnet_lite2"
    ways = {
        "MobileNetV2, 224": (f"hf:{weights / 'mobilenet_v2_1.0_224'}", "crop"),
        "MobileNetV2, 320": (f"hf:{weights / 'mobilenet_v2_1.0_224'}", "pad,side=320"),
        "EfficientNet-Lite2, 260, torch": (f"{lite2 / 'network.py'}:EfficientNetLite2", "pad"),
        "EfficientNet-Lite2, 260, onnxruntime": (f"onnx:{lite2 / 'model.onnx'}", "pad"),
        "EfficientNet-Lite2, 320, mean+max, torch": (
            f"{lite2 / 'network.py'}:EfficientNetLite2",
            "pad,side=320,pooling=mean+max",
        ),
    }
    data = _photos(BATCH, 320)
    steps: dict[str, Callable[[], None]] = {}
    for name, (spec, form) in ways.items():
        encoder = encoder_from_spec(spec, Source(data, data, "image", input_form=form))
        steps[name] = _forward(encoder, data)
    steps["VGG-19, 224"] = _forward(vgg19(), data)
    _print("photos per CPU second", steps, BATCH, rounds)


def _training(shared: Path, rounds: int) -> None:
    data = _photos(TRAINED, 96)
    spec = f"hf:{shared / 'weights' / 'mobilenet_v2_1.0_224'}"
    source = Source(data, data, "image", input_form="stretch,side=96")
    config = EncoderConfig({"image": spec}, fine_tune="all", tuning_epochs=1)
    method = PosteriorMatching(encoders=config, epochs=1)
    encoder = encoder_from_spec(spec, source)
    features = extract(data, {"image": encoder})
    first = method._fit_features(features, features, (), {})
    splits = (features, features.take(np.arange(4)))
    raw = (data, data.take(np.arange(4)))

    def ours() -> None:
        start = encoder_from_spec(spec, source)
        train_encoders(method, config, first, {"image": start}, splits, raw, cs.RunConfig(), None)

    network = encoder_from_spec(spec, source)
    inputs = network.input(data.columns["image"])
    labels = torch.from_numpy(data.labels.argmax(1))

    def bare() -> None:
        backbone = network.backbone.train()
        head = nn.Linear(network.size, CLASSES)
        optimizer = torch.optim.Adam([*backbone.parameters(), *head.parameters()])
        for rows in torch.split(torch.randperm(len(labels)), TRAINING_BATCH):
            optimizer.zero_grad()
            loss = cross_entropy(head(backbone(inputs[rows])), labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    steps = {"commonspace": ours, "bare loop": bare}
    _print("photos trained per CPU second", steps, len(labels), rounds)


def _print(title: str, steps: dict[str, Callable[[], None]], photos: int, rounds: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in steps}
    with reuse_memory():
        for number in range(rounds + 1):
            for name, step in steps.items():
                start = time.process_time()
                step()
                if number:  # the first round warms up
                    times[name].append(time.process_time() - start)
    print(f"| | {title} |\n|---|---|")
    for name, seconds in times.items():
        print(f"| {name} | {photos / median(seconds):.1f} |")


def _forward(encoder: Encoder, data: cs.Dataset) -> Callable[[], None]:
    inputs = encoder.input(data.columns["image"])

    @torch.inference_mode()
    def step() -> None:
        encoder.backbone(inputs)

    return step


def _photos(n: int, side: int) -> cs.Dataset:
    """Return photos of noise, of ten classes, with features as a second modality."""
    draw = np.random.default_rng(0)
    classes = np.arange(n) % CLASSES
    return cs.Dataset(
        name="noise",
        ids=tuple(map(str, range(n))),
        columns={
            "image": cs.Images(list(draw.integers(0, 256, (n, side, side, 3), dtype=np.uint8))),
            "text": cs.Features(draw.normal(size=(n, 16)).astype(np.float32)),
        },
        labels=np.eye(CLASSES, dtype=bool)[classes],
        class_names=tuple(map(str, range(CLASSES))),
        splits=np.repeat("train", n),
    )


if __name__ == "__main__":
    main()
