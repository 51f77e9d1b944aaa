"""Readers, and whole files of every format for them, as this package and others write them."""

import contextlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
from PIL import Image

from commonspace.data import Dataset, Features, decode_image, drop_unreadable_images
from commonspace.data.write import write_arrays
from commonspace.datasets import load_dataset
from commonspace.errors import CommonspaceError


@dataclass(frozen=True)
class Target:
    """A reader with the files that it is fuzzed with.

    Args:
        suffix: of the mutated files.
        read: reads one file.
        seeds: whole files.
        isolated: whether the package reads each file in a process of its own.
    """

    suffix: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]
    isolated: bool = False


def targets() -> dict[str, Target]:
    """Return every reader with its files."""
    found: dict[str, Target] = {}
    with TemporaryDirectory() as folder:
        place = Path(folder)
        data = _example()
        for suffix in (".npz", ".mat", ".parquet", ".h5"):
            write_arrays(data, place / f"x{suffix}")
            content = [(place / f"x{suffix}").read_bytes()]
            content += list(_others(suffix, place))
            found[suffix[1:].replace("h5", "hdf5")] = Target(
                suffix, read_data, tuple(content), suffix == ".h5"
            )
        found["mat73"] = Target(".mat", read_data, (_mat73(place),), isolated=True)
        found["jsonl"] = Target(".jsonl", read_data, (_lines(),))
        found["csv"] = Target(".csv", read_data, (_table(","), _table(";")))
        found["tsv"] = Target(".tsv", read_data, (_table("\t"),))
        found["tar"] = Target(".tar", read_data, (_archive(),))
    for suffix, forms in _images().items():
        found[suffix[1:]] = Target(suffix, decode_image, forms)
    return found


def _example() -> Dataset:
    draw = np.random.default_rng(0)
    return Dataset(
        name="example",
        ids=tuple(f"sample {row}" for row in range(30)),
        columns={
            "image": Features(draw.normal(size=(30, 20))),
            "text": Features(draw.normal(size=(30, 7)), draw.random(30) < 0.8),
        },
        labels=np.eye(3, dtype=bool)[np.arange(30) % 3],
        class_names=("kite", "dog", "boat"),
        splits=np.repeat(["train", "validation", "test"], 10),
        fields={"group": [row // 2 for row in range(30)]},
    )


def _others(suffix: str, place: Path) -> Iterator[bytes]:
    """Yield files of the same format as other programs write them."""
    draw = np.random.default_rng(1)
    image, label = draw.normal(size=(30, 6)).astype("f4"), np.arange(30) % 3
    path = place / f"y{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, image=image, text=image[:, :3], label=label)
    elif suffix == ".mat":
        from scipy.io import savemat
        from scipy.sparse import csc_matrix

        words = np.array([["a cat"], ["a dog"]] * 15, dtype=object)
        content = {"image": image, "text": words, "label": label}
        savemat(path, content | {"tags": csc_matrix(image > 1)}, do_compression=True)
    elif suffix == ".h5":
        with h5py.File(path, "w") as file:
            for split in ("train", "test"):
                file.create_dataset(f"{split}/image", data=image, compression="gzip", chunks=(7, 4))
                file[f"{split}/label"] = label
                file[f"{split}/text"] = np.array(["a cat", "ein Hündchen", ""] * 10, dtype=object)
            file.attrs["note"] = "by hand"
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        photo = io.BytesIO()
        Image.new("RGB", (6, 6), (9, 8, 7)).save(photo, "png")
        photos = [{"bytes": photo.getvalue(), "path": None}] * 30
        columns = {"image": photos, "text": ["a cat", None, "a dog"] * 10, "label": label}
        pq.write_table(pa.table(columns), path, compression="zstd")
    yield path.read_bytes()


def _mat73(place: Path) -> bytes:
    path = place / "seven.mat"
    draw = np.random.default_rng(2)
    with h5py.File(path, "w", userblock_size=512) as file:
        file["image"] = draw.normal(size=(6, 30))
        file["label"] = (np.arange(30) % 3)[None] + 1.0
        cells = [
            file.create_dataset(f"#refs#/{word}", data=[[ord(c)] for c in word]).ref
            for word in ("cat", "dog", "kite")
        ]
        for cell in file["#refs#"].values():
            cell.attrs["MATLAB_class"] = np.bytes_("char")
        names = file.create_dataset("class_names", data=np.array([cells], dtype=h5py.ref_dtype))
        names.attrs["MATLAB_class"] = np.bytes_("cell")
        group = file.create_group("tags")
        group.attrs["MATLAB_sparse"] = 30
        group["data"], group["ir"] = np.ones(4), np.array([0, 3, 4, 29])
        group["jc"] = np.array([0, 1, 3, 4])
    return path.read_bytes()


def _rows() -> list[dict[str, object]]:
    return [
        {"text": f"a {kind} number {row}", "label": kind, "price": row / 2, "id": f"p{row}"}
        for row, kind in enumerate(["kite", "dog", "fête"] * 8)
    ]


def _lines() -> bytes:
    return "".join(
        json.dumps(row, ensure_ascii=row["id"] == "p2") + "\n" for row in _rows()
    ).encode()


def _table(delimiter: str) -> bytes:
    head = delimiter.join(("text", "label", "price", "id"))
    rows = (delimiter.join(f'"{value}"' for value in row.values()) for row in _rows())
    return "\r\n".join([head, *rows]).encode()


def _archive() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for row in range(10):
            photo = io.BytesIO()
            Image.new("RGB", (6, 6), (row, 8, 7)).save(photo, "png")
            for suffix, content in (
                ("png", photo.getvalue()),
                ("txt", b"a cat"),
                ("json", json.dumps({"label": "ab"[row % 2]}).encode()),
            ):
                info = tarfile.TarInfo(f"{row:03}.{suffix}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def _images() -> dict[str, tuple[bytes, ...]]:
    draw = np.random.default_rng(3)
    rgb = Image.fromarray(draw.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    alpha = Image.fromarray(draw.integers(0, 256, (40, 50, 4), dtype=np.uint8), "RGBA")
    deep = Image.fromarray(draw.integers(0, 65536, (40, 50), dtype=np.uint16))

    def encode(image: Image.Image, form: str, **options: object) -> bytes:
        stream = io.BytesIO()
        image.save(stream, form, **options)
        return stream.getvalue()

    exif = Image.Exif()
    exif[0x0112] = 6
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    return {
        ".jpg": (
            encode(rgb, "jpeg", exif=exif),
            encode(rgb, "jpeg", progressive=True, subsampling=0),
            encode(rgb.convert("CMYK"), "jpeg"),
        ),
        ".png": (
            encode(rgb, "png"),
            encode(alpha, "png"),
            encode(deep, "png"),
            encode(rgb.quantize(16), "png", transparency=0),
            encode(rgb, "png", **frames),
        ),
        ".tiff": (
            encode(rgb, "tiff"),
            encode(rgb, "tiff", compression="tiff_lzw"),
            encode(deep, "tiff", compression="tiff_deflate"),
            encode(rgb.convert("1"), "tiff", compression="group4"),
            encode(rgb.convert("YCbCr"), "tiff", compression="jpeg"),
        ),
        ".webp": (
            encode(rgb, "webp"),
            encode(alpha, "webp", lossless=True),
            encode(rgb, "webp", **frames),
        ),
        ".gif": (encode(rgb, "gif"), encode(rgb, "gif", **frames), encode(alpha, "gif")),
        ".bmp": (encode(rgb, "bmp"), encode(rgb.quantize(16), "bmp")),
    }


def read_data(path: Path) -> object:
    """Read a data set as ``commonspace data`` does, and as ``train`` does."""
    with contextlib.suppress(CommonspaceError):
        load_dataset(path)
    return read_partly(path)


def read_partly(path: Path) -> object:
    """Read a data set as ``commonspace data`` does."""
    return drop_unreadable_images(load_dataset(path, partial=True))
