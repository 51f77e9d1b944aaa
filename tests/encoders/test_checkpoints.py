"""Models from folders and the hub: no code of a checkpoint runs, an absent hub ends at once."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commonspace.encoders.checkpoints import load_part
from commonspace.encoders.huggingface import image_encoder, text_encoder
from commonspace.encoders.images import Processed
from commonspace.encoders.sentence_transformers import sentence_encoder
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
