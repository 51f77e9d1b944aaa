"""Models from folders and the hub: no code of a checkpoint runs, an absent hub ends at once."""

import json
import pickle
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from commonspace.encoders.checkpoints import load_model, load_part, read_weights
from commonspace.encoders.huggingface import image_encoder, text_encoder
from commonspace.encoders.images import Processed
from commonspace.encoders.sentence_transformers import _layer, sentence_encoder
from commonspace.errors import DataError, SpaceError
from commonspace.networks.backbones.pretrained import model_from_config

CODE = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\nclass Evil: pass\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a model folder whose config names Python files, of a type that is not known."""
    names = ("AutoConfig", "AutoModel", "AutoImageProcessor", "AutoTokenizer")
    auto_map = dict.fromkeys(names, "evil.Evil") | {"AutoTokenizer": ["evil.Evil", None]}
    config = {"model_type": "evil", "auto_map": auto_map, "architectures": ["Evil"]}
    for name in ("config", "preprocessor_config", "tokenizer_config"):
        (tmp_path / f"{name}.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "evil.py").write_text(CODE, "utf-8")
    modules = [
        {"type": "evil.Transformer", "path": ""},
        {"type": "evil.Pooling", "path": "1_Pooling"},
    ]
    (tmp_path / "modules.json").write_text(json.dumps(modules), "utf-8")
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode": "mean"}', "utf-8")
    return tmp_path


@pytest.mark.parametrize("build", [image_encoder, text_encoder, sentence_encoder])
def test_code_of_a_checkpoint_is_never_run(build: object, folder: Path) -> None:
    with pytest.raises(DataError, match="needs code of its own, which is never run"):
        build(str(folder))  # type: ignore[operator]
    assert not (folder / "ran").exists()


def test_nobody_is_asked_whether_to_run_it(folder: Path) -> None:
    """In a process whose standard input says yes to every question."""
    code = (
        "import sys; from commonspace.encoders.huggingface import image_encoder;"
        "from commonspace.errors import DataError\n"
        "try: image_encoder(sys.argv[1])\n"
        "except DataError: print('refused')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        input="y\n" * 20,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert run.stdout == "refused\n"
    assert not (folder / "ran").exists()


def test_every_class_of_transformers_is_called_without_trust(folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    for name in ("AutoModel", "AutoConfig", "AutoImageProcessor", "AutoTokenizer"):
        with pytest.raises(DataError):
            load_part(getattr(transformers, name), str(folder))
    assert not (folder / "ran").exists()


def test_saved_configs_name_no_code(folder: Path) -> None:
    config = {"model_type": "evil", "auto_map": {"AutoModel": f"{folder}--evil.Evil"}}
    with pytest.raises(SpaceError, match="cannot be built"):
        model_from_config(config, "image")
    with pytest.raises(SpaceError, match="no image processor 'BertModel'"):
        Processed("BertModel", {}, as_bytes=False)
    assert not (folder / "ran").exists()


def test_a_hub_that_does_not_answer_is_an_error_within_seconds(tmp_path: Path) -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # accepts and never answers
    closed = socket.create_server(("127.0.0.1", 0))
    ports = [silent.getsockname()[1], closed.getsockname()[1]]
    closed.close()
    code = (
        "import sys; from commonspace.encoders import checkpoints, huggingface;"
        "from commonspace.errors import DataError\n"
        "checkpoints.HUB_TIMEOUT = 1.0\n"
        "try: huggingface.image_encoder('no/such')\n"
        "except DataError as exc: print(exc)"
    )
    try:
        for port in ports:
            start = time.monotonic()
            run = subprocess.run(
                [sys.executable, "-c", code],
                env={
                    "HF_ENDPOINT": f"http://127.0.0.1:{port}",
                    "HF_HOME": str(tmp_path / "hub"),
                    "PATH": "",
                    "PYTHONPATH": ":".join(sys.path),
                },
                capture_output=True,
                text=True,
                timeout=100,
                check=True,
            )
            assert time.monotonic() - start < 60
            assert "cannot be downloaded" in run.stdout
            assert "hf download no/such" in run.stdout
            assert "Retry" not in run.stderr
    finally:
        silent.close()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        "null",
        "[1]",
        "[[]]",
        '[{"type": 1, "path": ""}]',
        '[{"path": ""}]',
        '[{"type": "Transformer", "path": "../other"}]',
        '[{"type": "Transformer", "path": "/etc"}]',
        '[{"type": "Transformer", "path": "\\u0000"}]',
        '[{"type": "Transformer", "path": "' + "x" * 5000 + '"}]',
        "[" * 100_000,
    ],
)
def test_a_malformed_list_of_parts_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "modules.json").write_text(content, "utf-8")
    with pytest.raises(DataError):
        sentence_encoder(str(tmp_path))


@pytest.mark.parametrize(
    "config",
    [
        [],
        {},
        {"activation_function": "os.system"},
        {"activation_function": "torch.nn.modules.module.Module"},
        {"activation_function": "torch.nn.init"},
        {"activation_function": "torch.nn.Transformer"},
        {"activation_function": "torch.nn.modules.activation.Threshold"},
        {"in_features": "8"},
        {"in_features": -1},
        {"in_features": 1.5},
        {"out_features": 10**12},
        {"out_features": None},
    ],
)
def test_a_layer_is_linear_with_an_activation_of_torch(tmp_path: Path, config: object) -> None:
    good: dict[str, object] = {"in_features": 8, "out_features": 4, "bias": True}
    good["activation_function"] = "torch.nn.modules.activation.Tanh"
    path = tmp_path / "config.json"
    path.write_text(json.dumps(good), "utf-8")
    assert _layer(tmp_path) == (8, 4, True, "Tanh")
    path.write_text(json.dumps({**good, **config} if isinstance(config, dict) else config), "utf-8")
    if config == {}:
        path.write_text("{}", "utf-8")
    with pytest.raises(DataError):
        _layer(tmp_path)


def test_pickled_weights_run_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (tmp_path / "ran",)

    config = {"model_type": "bert", "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 9}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    for write in (torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))):
        write({"embeddings.weight": Evil()}, tmp_path / "pytorch_model.bin")
        with pytest.raises(DataError):
            load_model(str(tmp_path), "text")
        with pytest.raises(DataError):
            read_weights(tmp_path / "pytorch_model.bin")
    assert not (tmp_path / "ran").exists()
