"""ONNX files as image encoders: values, input forms, saving, and files that are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from commonspace.encoders import Encoder, InputForm, input_from_config
from commonspace.encoders.onnx_file import onnx_model, read_preprocessing
from commonspace.errors import DataError, FileFormatError, SettingError
from commonspace.networks.backbones import backbone_from_config
from commonspace.networks.backbones.onnx import OnnxBackbone, check_onnx

SHARED = Path(__file__).parents[2].parent / "shared" / "weights" / "efficientnet_lite2"
PHOTOS = list(np.random.default_rng(0).integers(0, 256, (3, 30, 20, 3), dtype=np.uint8))


def field(number: int, value: int | bytes | str) -> bytes:
    """Return one field of a protocol buffer."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def tensor_type(name: str, *shape: int | str) -> bytes:
    sizes = [field(1, field(1, s) if isinstance(s, int) else field(2, s)) for s in shape]
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, b"".join(sizes))))


def network(
    *,
    operator: str = "GlobalAveragePool",
    domain: str = "",
    side: int | str = "side",
    external: bool = False,
) -> bytes:
    """Return an ONNX network: one operator on photos (n, 3, side, side)."""
    node = field(1, "photo") + field(2, "features") + field(4, operator)
    node += field(7, domain) if domain else b""
    graph = field(1, node) + field(2, "graph")
    if external:
        location = field(13, field(1, "location") + field(2, "/etc/passwd"))
        tensor = field(1, 1) + field(2, 1) + field(8, "w") + location + field(14, 1)
        graph += field(5, tensor)
    graph += field(11, tensor_type("photo", "n", 3, side, side))
    graph += field(12, tensor_type("features", "n", 3, "rows", "columns"))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


def write(folder: Path, content: bytes, **preprocessing: object) -> str:
    path = folder / "net.onnx"
    path.write_bytes(content)
    if preprocessing:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing), "utf-8")
    return str(path)


def rebuilt(encoder: Encoder) -> Encoder:
    """Build the same encoder from JSON and weights, as a saved space does."""
    with torch.device("meta"):
        backbone = backbone_from_config(json.loads(json.dumps(dict(encoder.backbone_config))))
    backbone.load_state_dict(encoder.backbone.state_dict(), assign=True)
    input_ = input_from_config(json.loads(json.dumps(encoder.input.to_config())))
    return Encoder(input_, backbone.eval(), encoder.backbone_config, encoder.provenance)


@pytest.mark.parametrize("pooling", ["mean", "mean+max"])
@pytest.mark.parametrize("views", [1, 2])
def test_features_are_the_pooled_feature_map(tmp_path: Path, pooling: str, views: int) -> None:
    size = {"height": 16, "width": 16}
    file = write(
        tmp_path, network(operator="Sin"), size=size, image_mean=[0.5] * 3, image_std=[0.25] * 3
    )
    form = InputForm("stretch", pooling=pooling, views=views)  # type: ignore[arg-type]
    encoder = onnx_model(file).build(form)
    waves = np.sin((encoder.input(PHOTOS).numpy() / 255 - 0.5) / 0.25)
    parts = [waves.mean((2, 3))] + [waves.max((2, 3))] * (pooling == "mean+max")
    expected = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(encoder(PHOTOS), expected, atol=1e-5)
    again = rebuilt(encoder)
    np.testing.assert_allclose(again(PHOTOS), expected, atol=1e-5)
    assert again.provenance["input_form"] == str(form)
    assert str(tmp_path) not in json.dumps([encoder.provenance, dict(encoder.backbone_config)])


def test_a_fixed_side_is_the_only_one(tmp_path: Path) -> None:
    model = onnx_model(write(tmp_path, network(side=12)))
    assert model.side == 12
    assert model.build(InputForm("pad")).input([PHOTOS[0]]).shape == (1, 3, 12, 12)
    with pytest.raises(SettingError, match=r"not supported by net\.onnx") as caught:
        model.build(InputForm("pad", side=20))
    assert "12 x 12" in str(caught.value)


def test_files_that_could_reach_out_are_refused(tmp_path: Path) -> None:
    for content, message in (
        (network(domain="my.ops"), "not part of ONNX"),
        (network(domain="com.microsoft"), "not part of ONNX"),
        (network(external=True), "weights in other files"),
        (network(operator="NoSuchOperator"), "cannot be read"),
        (b"not ONNX at all", "cannot be read"),
        (network()[:-9], "cannot be read"),
    ):
        with pytest.raises(FileFormatError, match=message):
            onnx_model(write(tmp_path, content))
    with pytest.raises(DataError, match="no ONNX file"):
        onnx_model(str(tmp_path / "absent.onnx"))


def test_a_saved_file_is_checked_again(tmp_path: Path) -> None:
    content = network(domain="my.ops")
    backbone = OnnxBackbone(len(content), 3, (0, 0, 0), (1, 1, 1))
    backbone.file = torch.tensor(list(content), dtype=torch.uint8)
    with pytest.raises(FileFormatError, match="not part of ONNX"):
        backbone(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_subgraphs_and_functions_are_checked() -> None:
    inner = field(1, field(4, "Anything") + field(7, "my.ops"))
    branch = field(1, field(4, "If") + field(5, field(1, "then_branch") + field(6, inner)))
    for content in (field(7, branch), field(25, field(7, field(7, "my.ops")))):
        with pytest.raises(FileFormatError, match="not part of ONNX"):
            check_onnx(content)
    constant = field(1, field(4, "Constant") + field(5, field(5, field(14, 1))))
    with pytest.raises(FileFormatError, match="other files"):
        check_onnx(field(7, constant))


def test_malformed_preprocessing_is_refused(tmp_path: Path) -> None:
    assert read_preprocessing(tmp_path, 64)[:2] == (64, 73)
    path = tmp_path / "preprocessor_config.json"
    path.write_text('{"size": {"shortest_edge": 40}, "crop_size": 32}', "utf-8")
    assert read_preprocessing(tmp_path, 64)[:2] == (32, 40)
    for text in ("{", "[]", '{"size": {}}', '{"size": 8, "image_std": [0, 0, 0]}'):
        path.write_text(text, "utf-8")
        with pytest.raises(FileFormatError, match="preprocessor_config"):
            read_preprocessing(tmp_path, 64)


def test_a_network_that_is_no_encoder_of_images(tmp_path: Path) -> None:
    content = network().replace(tensor_type("photo", "n", 3, "side", "side"), b"")
    with pytest.raises((DataError, FileFormatError)):
        onnx_model(write(tmp_path, content))


@pytest.mark.skipif(not SHARED.exists(), reason="the shared files are not here")
def test_lite2_gives_what_its_torch_module_gives() -> None:
    from commonspace.encoders.torch_module import torch_model

    form = InputForm("pad")
    images = list(np.random.default_rng(1).integers(0, 256, (2, 200, 300, 3), dtype=np.uint8))
    onnx = onnx_model(str(SHARED / "model.onnx")).build(form)
    module = torch_model(f"{SHARED / 'network.py'}:EfficientNetLite2").build(form)
    assert isinstance(module.backbone, nn.Module)
    torch.testing.assert_close(onnx(images), module(images), atol=1e-3, rtol=1e-3)
