"""VGG-19 from a checkpoint file and from a download, and files that are refused."""

import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from commonspace.encoders import vgg19 as module
from commonspace.encoders.vgg19 import vgg19_encoder
from commonspace.errors import DataError, FileFormatError
from commonspace.networks.backbones.vgg19 import VGG19

PICTURES = list(np.random.default_rng(0).integers(0, 256, (2, 240, 260, 3), dtype=np.uint8))


def checkpoint(batch_norm: bool = False) -> dict[str, torch.Tensor]:
    """Return random weights in the published layout, narrow, with the ImageNet classifier."""
    torch.manual_seed(4)
    state = dict(VGG19(batch_norm, width=2, size=8).state_dict())
    return state | {"classifier.6.weight": torch.zeros(10, 8), "classifier.6.bias": torch.zeros(10)}


@pytest.mark.parametrize("batch_norm", [False, True])
def test_features_are_those_of_the_network_with_these_weights(
    batch_norm: bool, tmp_path: Path
) -> None:
    state = checkpoint(batch_norm)
    torch.save(state, tmp_path / "w.pth")
    save_file(state, tmp_path / "w.safetensors")
    torch.save(
        {"state_dict": {k: v.double() if v.ndim else v for k, v in state.items()}},
        tmp_path / "nested.pth",
    )
    network = VGG19(batch_norm, width=2, size=8).eval()
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith("classifier.6")})
    encoders = [
        vgg19_encoder(tmp_path / name, batch_norm=batch_norm)
        for name in ("w.pth", "w.safetensors", "nested.pth")
    ]
    with torch.inference_mode():
        expected = network(encoders[0].input(PICTURES))
    for encoder in encoders:
        assert torch.equal(encoder(PICTURES), expected)
    assert len({encoder.provenance["sha256"] for encoder in encoders}) == 1
    before = vgg19_encoder(tmp_path / "w.pth", batch_norm=batch_norm, before_relu=True)
    assert torch.equal(before(PICTURES).clamp(min=0), expected)
    assert before.provenance["sha256"] != encoders[0].provenance["sha256"]
    assert before.provenance["weights_sha256"] == encoders[0].provenance["weights_sha256"]
    assert encoders[0].provenance["fitted_on"] == "other (w.pth)"


def test_other_files_are_refused_by_name(tmp_path: Path) -> None:
    torch.save(checkpoint(batch_norm=True), tmp_path / "bn.pth")
    with pytest.raises(FileFormatError, match="another architecture"):
        vgg19_encoder(tmp_path / "bn.pth")
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "resnet.pth")
    with pytest.raises(FileFormatError, match=r"without classifier\.0\.bias"):
        vgg19_encoder(tmp_path / "resnet.pth")
    odd = checkpoint()
    odd["features.2.weight"] = torch.zeros(2, 2, 5, 5)
    torch.save(odd, tmp_path / "odd.pth")
    with pytest.raises(FileFormatError, match=r"features\.2\.weight of shape"):
        vgg19_encoder(tmp_path / "odd.pth")
    torch.save(checkpoint(), tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    (tmp_path / "short.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.pth").write_bytes(b"")
    (tmp_path / "text.safetensors").write_text("not at all", "utf-8")
    for name in ("short.pth", "empty.pth", "text.safetensors"):
        with pytest.raises(FileFormatError, match=name):
            vgg19_encoder(tmp_path / name)
    with pytest.raises(DataError, match="nowhere"):
        vgg19_encoder(tmp_path / "nowhere.pth")


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def test_no_code_of_a_checkpoint_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "bomb.pth").write_bytes(pickle.dumps({"features.0.weight": Bomb(mark)}))
    torch.save({"features.0.weight": Bomb(mark)}, tmp_path / "zip.pth")
    for name in ("bomb.pth", "zip.pth"):
        with pytest.raises(FileFormatError, match=name):
            vgg19_encoder(tmp_path / name)
    assert not mark.exists()


@contextmanager
def serving(content: bytes, *, truncate: bool = False) -> Iterator[str]:
    """Serve one file on this machine; the answer may break off."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2 if truncate else None])

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the empty folder of torch's checkpoints."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.mark.parametrize("truncate", [False, True])
def test_a_wrong_or_truncated_download_is_refused_and_removed(
    hub: Path, monkeypatch: pytest.MonkeyPatch, truncate: bool
) -> None:
    content = np.random.default_rng(1).bytes(300_000)
    prefix = sha256(content).hexdigest()[:8] if truncate else "01234567"
    with serving(content, truncate=truncate) as url:
        monkeypatch.setitem(module.VGG19_URLS, False, f"{url}/vgg19-{prefix}.pth")
        with pytest.raises(FileFormatError, match=f"SHA-256 that starts with {prefix}"):
            vgg19_encoder()
    assert list(hub.iterdir()) == []


def test_the_checkpoint_is_downloaded_once_or_its_place_named(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(checkpoint(), tmp_path / "w.pth")
    content = (tmp_path / "w.pth").read_bytes()
    name = f"vgg19-{sha256(content).hexdigest()[:8]}.pth"
    with serving(content) as url:
        monkeypatch.setitem(module.VGG19_URLS, False, f"{url}/{name}")
        encoder = vgg19_encoder()
    assert encoder.provenance["fitted_on"] == "other (ImageNet-1k)"
    assert (hub / name).read_bytes() == content
    assert vgg19_encoder().provenance == encoder.provenance  # the server is gone
    monkeypatch.setitem(module.VGG19_URLS, True, f"{url}/vgg19_bn-00000000.pth")
    with pytest.raises(DataError) as caught:
        vgg19_encoder(batch_norm=True)
    assert str(hub / "vgg19_bn-00000000.pth") in str(caught.value)
    assert "download them on a machine with access" in caught.value.advice


def test_the_urls_have_the_published_hashes() -> None:
    names = {form: url.rpartition("/")[2] for form, url in module.VGG19_URLS.items()}
    assert names == {False: "vgg19-dcbb9e9d.pth", True: "vgg19_bn-c79401a0.pth"}
