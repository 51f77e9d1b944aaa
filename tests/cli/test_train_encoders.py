"""Training of encoders from the command line: train, evaluate, index, search; and wrong input."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

import commonspace as cs
from tests.photo_encoders import write_network

Call = Callable[..., Result]

LAYERS = "nn.Conv2d(3, 8, 5, 2), nn.BatchNorm2d(8), nn.ReLU()"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of photos in two brightnesses with texts; net.py lies beside it."""
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    write_network(tmp_path, LAYERS, 16)
    photos = tmp_path / "photos"
    photos.mkdir()
    draw = np.random.default_rng(0)
    lines = []
    for row in range(72):
        kind = row % 2
        pixels = draw.integers(0, 200, (16, 16, 3)) + 40 * kind
        Image.fromarray(pixels.astype(np.uint8)).save(photos / f"{row}.png")
        word = ("dark", "light")[kind]
        split = ("train", "validation", "test")[row // 24]
        line = {"file_name": f"{row}.png", "text": f"a {word} wall {row % 5}", "label": word}
        lines.append(json.dumps({**line, "split": split}))
    (photos / "metadata.jsonl").write_text("\n".join(lines), "utf-8")
    return photos


def test_a_space_with_a_trained_encoder_is_used_like_any_other(call: Call, folder: Path) -> None:
    net, run, index = f"{folder.parent / 'net.py'}:Net", folder.parent / "run", folder.parent / "i"
    words = ("--image", net, "--text", "auto", "--fine-tune", "all", "--minutes", 5)
    small = ("--epochs", 2, "--hidden-dim", 8, "--set", "encoders.tuning_epochs=2")
    done = call("train", folder, *words, *small, "--out", run)
    assert done.exit_code == 0, done.output
    assert "encoder of text: tfidf (the only one)" in done.stderr
    assert "encoder of image: trained" in done.stderr
    assert "trained posterior on photos" in done.output
    epochs = (run / "history.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in epochs] == [1, 2]
    missing = call("evaluate", run)
    assert missing.exit_code == 2
    assert "needs the class net.py:Net" in missing.stderr
    for command in (
        ("evaluate", run),
        ("index", run, folder, "--out", index),
        ("search", index, "a light wall 3"),
    ):
        done = call("--network", net, *command)
        assert done.exit_code == 0, (command, done.output)
    assert "light" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--image", "NET", "--text", "tfidf", "--fine-tune", "lora"), "no encoder to train"),
        (("--image", "NET", "--text", "tfidf", "--fine-tune", "some"), "is not one of"),
        (("--image", "NET", "--text", "tfidf", "--minutes", "0"), "`minutes` must be > 0"),
        (("--image", "auto", "--text", "tfidf"), "no encoder for 'image' is installed"),
        (
            ("--image", "NET", "--text", "tfidf", "--set", "encoders.tuning_form=round"),
            "unknown form",
        ),
    ],
)
def test_wrong_input_is_refused_with_advice(
    words: tuple[str, ...], message: str, call: Call, folder: Path
) -> None:
    net, run = f"{folder.parent / 'net.py'}:Net", folder.parent / "run"
    given = [net if word == "NET" else word for word in words]
    done = call("train", folder, *given, "--epochs", 1, "--hidden-dim", 8, "--out", run)
    assert done.exit_code == 2, done.output
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.output
    assert not run.exists()


def test_lora_of_a_text_model_is_trained_and_merged(call: Call, folder: Path) -> None:
    """A small model of transformers, as its library saves it."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("peft")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "dark", "light", "wall", *"01234"]
    model = folder.parent / "bert"
    model.mkdir()
    (model / "vocab.txt").write_text("\n".join(words), "utf-8")
    transformers.BertTokenizer(str(model / "vocab.txt")).save_pretrained(model)
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    transformers.BertModel(config).save_pretrained(model)
    run, net = folder.parent / "run", f"{folder.parent / 'net.py'}:Net"
    given = ("--image", net, "--text", f"hf:{model}", "--fine-tune", "lora")
    small = ("--epochs", 2, "--hidden-dim", 8, "--set", "encoders.tuning_epochs=1")
    done = call("train", folder, *given, *small, "--out", run)
    assert done.exit_code == 0, done.output
    assert "encoder of text: trained" in done.stderr
    assert "encoder of image" not in done.stderr.replace("input form", "")
    from commonspace.encoders.torch_module import load_class

    space = cs.load(run, encoders={"image": load_class(net)})
    assert not any("lora" in name for name in space.network.state_dict())
