"""Samples of a split as tensors: absent modalities, photos decoded batch by batch, changes."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from commonspace.data import Dataset, Images
from commonspace.encoders import Photos
from commonspace.training import Samples

CPU = torch.device("cpu")


def test_a_sample_without_a_modality_is_left_out_of_it_alone() -> None:
    present = np.array([True, False, True, False])
    image = torch.arange(8.0).reshape(4, 2)
    text = torch.arange(4.0).reshape(4, 1)
    columns = {
        "image": SimpleNamespace(present=present, values=image),
        "text": SimpleNamespace(present=np.ones(4, dtype=bool), values=text),
    }
    data: Any = SimpleNamespace(columns=columns, labels=np.eye(4, dtype=bool))
    inputs: Any = dict.fromkeys(columns, lambda column: column.values)
    held = Samples(data, inputs, CPU)
    batch = held.batch(torch.tensor([3, 2, 0]))
    assert batch.inputs["image"].tolist() == [[4.0, 5.0], [0.0, 1.0]]
    assert batch.present["image"].tolist() == [False, True, True]
    assert batch.inputs["text"].tolist() == [[3.0], [2.0], [0.0]]
    assert batch.labels.argmax(dim=1).tolist() == [3, 2, 0]
    assert set(held.batch(torch.tensor([1, 3])).inputs) == {"text"}


def test_photos_decoded_batch_by_batch_are_the_same(raw_dataset: Dataset) -> None:
    part = raw_dataset.split("train")
    gaps = list(part.columns["image"].items)  # type: ignore[attr-defined]
    gaps[2] = gaps[7] = None
    part = replace(part, columns={**part.columns, "image": Images(gaps)})
    inputs = {"image": Photos(resize=24, side=20)}
    held = Samples(part, inputs, CPU)
    late = Samples(part, inputs, CPU, memory=1)
    assert held.inputs.keys() == {"image"}
    assert late.inputs == {}
    chunks = torch.randperm(len(part), generator=torch.Generator().manual_seed(0)).split(5)  # type: ignore[no-untyped-call]
    for workers in (0, 2):
        for one, other in zip(held.batches(chunks), late.batches(chunks, workers), strict=True):
            assert torch.equal(one.inputs["image"], other.inputs["image"])
            assert torch.equal(one.present["image"], other.present["image"])
            assert torch.equal(one.labels, other.labels)
    for piece, twin in zip(held.parts("image", 4), late.parts("image", 4), strict=True):
        assert torch.equal(piece, twin)
    only_gaps = torch.tensor([2, 7])
    assert late.batch(only_gaps).inputs == {}


def test_photos_change_in_batches_and_nowhere_else(raw_dataset: Dataset) -> None:
    part = raw_dataset.split("train")
    inputs = {"image": Photos(resize=24, side=20)}
    plain = Samples(part, inputs, CPU)
    for memory in (2**30, 1):
        changed = Samples(part, inputs, CPU, memory=memory, changes={"image": lambda x: 255 - x})
        rows = torch.arange(5)
        assert torch.equal(
            changed.batch(rows).inputs["image"], 255 - plain.batch(rows).inputs["image"]
        )
        for one, other in zip(changed.parts("image", 4), plain.parts("image", 4), strict=True):
            assert torch.equal(one, other)
