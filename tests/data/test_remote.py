"""Data on object storage: a copy in the cache that follows the original."""

from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen
from uuid import uuid4

import fsspec
import numpy as np
import pytest

from commonspace.data import remote
from commonspace.data.remote import local_copy
from commonspace.datasets import load_dataset
from commonspace.errors import DataError, MissingExtraError


@pytest.fixture
def arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of features, with an empty cache."""
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    folder = tmp_path / "features"
    folder.mkdir()
    np.save(folder / "image.npy", draw.normal(size=(30, 6)).astype(np.float32))
    np.save(folder / "text.npy", draw.normal(size=(30, 5)).astype(np.float32))
    np.save(folder / "label.npy", np.arange(30) % 3)
    return folder


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start an S3 server of this process and return an empty bucket."""
    server = pytest.importorskip("moto.server", reason="moto, a local S3 server, is not installed")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"b{uuid4().hex}"
    urlopen(Request(f"http://{host}:{port}/{bucket}", method="PUT")).close()
    yield f"s3://{bucket}"
    running.stop()


def put(folder: Path, url: str) -> None:
    files, root = remote._storage(url)
    files.makedirs(root, exist_ok=True)
    for file in folder.iterdir():
        files.put_file(str(file), f"{root}/{file.name}")


def check(arrays: Path, base: str) -> None:
    """Check that a copy equals the folder, is used again, and follows changes."""
    url = f"{base}/features"
    put(arrays, url)
    local = load_dataset(arrays)
    assert load_dataset(url).fingerprint == local.fingerprint
    assert load_dataset(f"npy:{url}?label=label").fingerprint == local.fingerprint
    assert load_dataset(url).name == "features"
    copy = local_copy(url)
    times = {file.name: file.stat().st_mtime_ns for file in copy.iterdir()}
    load_dataset(url)
    assert {file.name: file.stat().st_mtime_ns for file in copy.iterdir()} == times

    np.save(arrays / "label.npy", np.arange(30) % 5)
    put(arrays, url)
    assert load_dataset(url).fingerprint == load_dataset(arrays).fingerprint
    files, root = remote._storage(url)
    files.rm(f"{root}/text.npy")
    assert load_dataset(url).modalities == ("image",)
    assert not (copy / "text.npy").exists()


def test_a_folder_in_memory(arrays: Path) -> None:
    check(arrays, f"memory://{uuid4()}")


@pytest.mark.server
def test_a_folder_on_s3(arrays: Path, s3: str) -> None:
    check(arrays, s3)
    np.savez(arrays.parent / "one.npz", image=np.eye(4), label=[0, 0, 1, 1])
    files, root = remote._storage(f"{s3}/one.npz")
    files.put_file(str(arrays.parent / "one.npz"), root)
    assert load_dataset(f"{s3}/one.npz").name == "one"
    with pytest.raises(DataError, match="no file of this name"):
        load_dataset(f"{s3}/other.npz")


def test_a_file_url_is_read_where_it_is(arrays: Path) -> None:
    assert local_copy(f"file://{arrays}") == arrays


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    found = {"../../evil.npy": {"name": "x", "version": ["1"]}}
    with pytest.raises(DataError, match="leads out of the folder"):
        remote._update(None, found, tmp_path / "copy", tmp_path / "versions.json")
    assert not any(tmp_path.iterdir())


def test_what_cannot_be_read_names_the_url(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"memory://nothing/there cannot be read"):
        local_copy("memory://nothing/there", tmp_path)
    with pytest.raises(DataError, match="unknown://x cannot be read"):
        local_copy("unknown://x", tmp_path)


def test_a_package_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(url: str) -> None:
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr(remote, "_storage", missing)
    with pytest.raises(MissingExtraError, match="gcsfs for gs://"):
        local_copy("gs://bucket/x", tmp_path)


def test_a_download_that_stops_leaves_the_earlier_copy(
    arrays: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"memory://{uuid4()}/features"
    put(arrays, url)
    copy = local_copy(url)
    before = (copy / "label.npy").read_bytes()
    np.save(arrays / "label.npy", np.arange(30) % 5)
    put(arrays, url)
    files = type(fsspec.filesystem("memory"))

    def stop(self: object, name: str, target: str) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("connection lost")

    with monkeypatch.context() as patch:
        patch.setattr(files, "get_file", stop)
        with pytest.raises(DataError, match="connection lost"):
            local_copy(url)
    assert (copy / "label.npy").read_bytes() == before
    assert not [file for file in copy.iterdir() if file.name.startswith(".")]
    assert load_dataset(url).fingerprint == load_dataset(arrays).fingerprint
