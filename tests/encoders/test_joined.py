"""Several encoders side by side: standardized features, any kinds of input, saving."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from commonspace.data import Dataset, Features, Texts
from commonspace.encoders import (
    Encoder,
    Extraction,
    Source,
    encoder_from_spec,
    extract,
    input_from_config,
)
from commonspace.networks.backbones import backbone_from_config
from commonspace.networks.backbones.joined import pack, unpack

TEXTS = ["a red kite", "the blue boat", "blue kites fly", "a red boat", "kite, kite!", "boats"] * 4


@pytest.fixture
def data() -> Dataset:
    return Dataset(
        name="words",
        ids=tuple(map(str, range(24))),
        columns={
            "text": Texts([(text, "and more")[: 1 + row % 2] for row, text in enumerate(TEXTS)])
        },
        labels=np.eye(3, dtype=bool)[np.arange(24) % 3],
        class_names=("a", "b", "c"),
        splits=np.repeat(["train", "validation"], 12),
    )


@pytest.mark.parametrize("multi_caption", ["concat", "mean"])
def test_parts_are_standardized_on_train(
    data: Dataset, multi_caption: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))
    train = data.split("train")
    source = Source(train, data.split("validation"), "text", multi_caption)  # type: ignore[arg-type]
    alone = [encoder_from_spec(spec, source) for spec in ("tfidf", "textcnn")]
    joined = encoder_from_spec("tfidf + textcnn", source)
    assert joined.size == sum(encoder.size for encoder in alone)
    assert joined.provenance["spec"] == "tfidf + textcnn"
    assert joined.provenance["multi_caption"] == multi_caption
    column = data.columns["text"]
    start = 0
    for encoder in alone:
        known, values = encoder(train.columns["text"]), encoder(column)
        scale = known.var(0, correction=0).sum().sqrt()
        part = joined(column)[:, start : start + encoder.size]
        torch.testing.assert_close(part, (values - known.mean(0)) / scale, atol=1e-4, rtol=1e-3)
        start += encoder.size
    found = extract(data, {"text": joined}, Extraction(batch_size=5)).columns["text"]
    assert isinstance(found, Features)
    np.testing.assert_allclose(found.values, joined(column), atol=1e-4)
    backbone = backbone_from_config(json.loads(json.dumps(dict(joined.backbone_config))))
    backbone.load_state_dict(joined.backbone.state_dict())
    input_ = input_from_config(json.loads(json.dumps(joined.input.to_config())))
    again = Encoder(input_, backbone.eval(), joined.backbone_config)
    torch.testing.assert_close(again(column), joined(column))


def test_features_of_the_parts_are_not_computed_again(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))
    source = Source(data.split("train"), data.split("validation"), "text")
    joined = encoder_from_spec("tfidf + textcnn", source)
    settings = Extraction(workers=0, cache=tmp_path / "features")
    for spec in ("tfidf", "textcnn"):
        extract(data, {"text": encoder_from_spec(spec, source)}, settings)
    encoded = []
    for part in joined.backbone.backbones:  # type: ignore[union-attr]
        part.register_forward_hook(lambda *_: encoded.append(1))
    found = extract(data, {"text": joined}, settings).columns["text"]
    assert encoded == []
    assert isinstance(found, Features)
    np.testing.assert_allclose(found.values, joined(data.columns["text"]), atol=1e-4)
    assert encoded


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 4),
    shapes=st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=3), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_packed_tensors_come_back(n: int, shapes: list[list[int]], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for number, shape in enumerate(shapes):
        values = torch.randint(0, 256, (n, *shape), generator=generator)
        parts.append(values.to((torch.uint8, torch.int64, torch.float32)[(number + seed) % 3]))
    packed = pack(parts)
    assert packed.dtype == torch.uint8
    for before, after in zip(parts, unpack(packed, len(parts)), strict=True):
        assert before.dtype == after.dtype
        assert torch.equal(before, after)
    assert torch.equal(unpack(packed[-1:], len(parts))[0], parts[0][-1:])
