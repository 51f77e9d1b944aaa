"""User-defined torch modules: FILE.py:Class as an encoder, and no code run for a saved file."""

import json
from dataclasses import replace
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.data import Dataset
from commonspace.encoders import InputForm, Source, encoder_from_spec, extract
from commonspace.encoders.torch_module import load_class, short_name, torch_model
from commonspace.errors import DataError, SettingError, SpaceError
from commonspace.methods import EncoderConfig, LinearProbe, PosteriorMatching
from commonspace.networks.backbones.torch_module import TorchModuleBackbone
from tests.photo_encoders import write_photos

PHOTOS = list(np.random.default_rng(0).integers(0, 256, (3, 30, 20, 3), dtype=np.uint8))
NETWORK = """
    import torch
    from pathlib import Path
    Path(__file__).with_name("ran").touch()
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Conv2d(3, 4, 3)
            torch.nn.init.constant_(self.layers.weight, 0.1)
            torch.nn.init.zeros_(self.layers.bias)
        def forward(self, photos):
            return self.layers(photos).relu().mean((2, 3))
    class Maps(Net):
        def forward(self, photos):
            return self.layers(photos)
    class Needy(torch.nn.Module):
        def __init__(self, size):
            super().__init__()
    class Odd(torch.nn.Module):
        def forward(self, photos):
            return photos.mean()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "nets" / "mine.py"
    path.parent.mkdir()
    path.write_text(dedent(NETWORK), "utf-8")
    size = {"size": {"height": 12, "width": 12}, "image_mean": [0] * 3, "image_std": [1] * 3}
    path.with_name("preprocessor_config.json").write_text(json.dumps(size), "utf-8")
    return path


def test_features_are_those_of_the_module(file: Path) -> None:
    network = load_class(f"{file}:Net")().eval()
    model = torch_model(f"{file}:Net")
    assert model.side == 12
    for views in (1, 2):
        encoder = model.build(InputForm("pad", side=20, pooling="mean+max", views=views))
        images = encoder.input(PHOTOS).float() / 255
        assert images.shape == (3, 3, 20, 20)
        with torch.inference_mode():
            seen = [network.layers(view) for view in (images, images.flip(-1))[:views]]  # type: ignore[operator]
            expected = torch.stack(
                [torch.cat([one.relu().mean((2, 3)), one.amax((2, 3))], 1) for one in seen]
            )
        torch.testing.assert_close(encoder(PHOTOS), expected.mean(0))
    assert encoder.provenance["spec"] == "module"
    assert str(file.parent) not in json.dumps([encoder.provenance, dict(encoder.backbone_config)])


def test_a_feature_map_is_pooled(file: Path) -> None:
    network = load_class(f"{file}:Maps")().eval()
    encoder = torch_model(f"{file}:Maps").build(InputForm("stretch"))
    with torch.inference_mode():
        expected = network(encoder.input(PHOTOS).float() / 255).mean((2, 3))
    torch.testing.assert_close(encoder(PHOTOS), expected)


def test_the_top_is_the_last_layer_with_weights_and_what_follows(tmp_path: Path) -> None:
    (tmp_path / "deep.py").write_text(
        dedent("""
            from torch import nn
            class Deep(nn.Module):
                def __init__(self):
                    super().__init__()
                    first = [nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()]
                    last = [nn.Conv2d(4, 5, 1, bias=False), nn.BatchNorm2d(5), nn.ReLU()]
                    self.layers = nn.Sequential(*first, *last)
                def forward(self, photos):
                    return self.layers(photos)
        """),
        "utf-8",
    )
    backbone = torch_model(f"{tmp_path / 'deep.py'}:Deep").build(InputForm("pad")).backbone
    assert isinstance(backbone, TorchModuleBackbone)
    backbone.fine_tune("top")
    trained = [name for name, one in backbone.named_parameters() if one.requires_grad]
    assert trained == ["model.layers.3.weight", "model.layers.4.weight", "model.layers.4.bias"]


def test_what_cannot_be_loaded_is_refused(file: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("1 / 0", "utf-8")
    for spec, message in (
        (f"{tmp_path / 'absent.py'}:Net", "no such file"),
        (f"{tmp_path / 'broken.py'}:Net", "ZeroDivisionError"),
        (f"{file}:Absent", "no such class"),
        (f"{file}:Path", "Path is"),
        (f"{file}:Needy", "size"),
    ):
        with pytest.raises(DataError) as caught:
            torch_model(spec)
        assert message in str(caught.value)
    with pytest.raises(SettingError, match="not supported"):
        torch_model(f"{file}:Odd").build(InputForm())


def data_of(folder: Path) -> Dataset:
    """Return photos of two brightnesses with a text for each, ten of each split."""
    classes = np.arange(60) % 2
    noise = np.random.default_rng(1).integers(0, 120, (60, 16, 16, 3), dtype=np.uint8)
    pixels = noise + (100 * classes).astype(np.uint8)[:, None, None, None]
    names = ("dark", "light")
    texts = [(f"{names[k]} picture number {row}",) for row, k in enumerate(classes)]
    splits = np.repeat(["train", "validation", "test"], 20)
    return write_photos(folder, list(pixels), texts, classes, names, splits)


def test_a_space_takes_the_class_from_the_caller_again(file: Path, tmp_path: Path) -> None:
    data = data_of(tmp_path)
    encoders = EncoderConfig({"image": f"{file}:Net", "text": "tfidf"}, input_form="pad")
    space = PosteriorMatching(epochs=2, device="cpu", encoders=encoders).fit(
        data.split("train"), data.split("validation"), cs.RunConfig()
    )
    space.save(tmp_path / "run")
    encoder = encoder_from_spec(
        f"{file}:Net",
        Source(data.split("train"), data.split("validation"), "image", input_form="pad"),
    )
    assert (
        space.provenance["encoders"]["image"]["weights_sha256"]
        == (encoder.provenance["weights_sha256"])
    )
    ran = file.with_name("ran")
    ran.unlink()
    with pytest.raises(SpaceError, match=r"needs the class mine\.py:Net"):
        cs.load(tmp_path / "run")
    assert not ran.exists()
    module = load_class(f"{file}:Net")
    loaded = cs.load(tmp_path / "run", encoders={"image": module})
    photos = data.columns["image"]
    np.testing.assert_array_equal(loaded.embed("image", photos), space.embed("image", photos))


def test_the_name_has_no_folder() -> None:
    assert short_name("a/b c/net.py:Net") == "net.py:Net"


def test_an_index_never_runs_the_file_that_it_names(file: Path, tmp_path: Path) -> None:
    data = data_of(tmp_path)
    encoder = torch_model(f"{file}:Net").build(InputForm("pad"))
    photos = replace(data, columns={"image": data.columns["image"]})
    features = extract(photos, {"image": encoder})
    both = replace(features, columns={**features.columns, "text": features.columns["image"]})
    space = LinearProbe().fit(both.split("train"), both.split("validation"))
    named = {"image": f"{file}:Net"}
    with cs.Index.create(tmp_path / "index", space, both, encoders=named) as index:
        expected = [hit.id for hit in index.search(image=PHOTOS[0])]
    ran = file.with_name("ran")
    ran.unlink()
    with cs.Index.open(tmp_path / "index") as index:
        assert "image" not in index.encoders
        with pytest.raises(SettingError, match="reads no images"):
            index.search(image=PHOTOS[0])
    assert not ran.exists()
    with cs.Index.open(tmp_path / "index", encoders=named) as index:
        assert [hit.id for hit in index.search(image=PHOTOS[0])] == expected
