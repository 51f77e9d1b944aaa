"""extract: photos and captions become features, a space and its figures; and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import Result

import commonspace as cs
from commonspace.datasets import load_dataset
from commonspace.networks.backbones.vgg19 import VGG19

Call = Callable[..., Result]
TINY = (
    "--method",
    "dscmr",
    "--hidden-dim",
    "16",
    "--embedding-dim",
    "8",
    "--device",
    "cpu",
    "--epochs",
    "3",
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMONSPACE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("weights") / "narrow.pth"
    torch.save(VGG19(width=2, size=12).state_dict(), path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Write thirty photos with a caption each, ten of them in every split."""
    folder = tmp_path / "photos"
    folder.mkdir()
    draw = np.random.default_rng(1)
    lines = []
    for number in range(30):
        colour = ("red", "blue")[number % 2]
        pixels = draw.integers(0, 90, (30, 34, 3), dtype=np.uint8)
        pixels[:, :, 2 * (number % 2)] += 150
        Image.fromarray(pixels).save(folder / f"{number}.png")
        split = ("train", "validation", "test")[number // 10]
        line = {"file_name": f"{number}.png", "text": f"a {colour} wall", "label": colour}
        lines.append(json.dumps({**line, "split": split}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def test_from_photos_to_figures(call: Call, photos: Path, weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "features.npz"
    words = ("extract", photos, "--image", f"vgg19:{weights}", "--text", "textcnn", "--out", out)
    done = call(*words)
    assert done.exit_code == 0, done.stderr
    assert "image: VGG-19, fc7 after its ReLU, 12-d" in done.stdout
    data = load_dataset(out)
    assert data.provenance["encoders"]["text"]["fitted_on"] == "train"
    assert data.ids == load_dataset(photos).ids
    written = out.stat().st_mtime_ns
    again = call(*words)
    assert "is up to date" in again.stdout
    assert out.stat().st_mtime_ns == written
    other = call(*words[:-2], "--multi-caption", "mean", "--out", out)
    assert other.exit_code == 2
    assert "already exists" in other.stderr
    one = call("train", out, "--out", tmp_path / "one", *TINY)
    assert one.exit_code == 0, one.stderr
    two = call(
        "train",
        photos,
        "--image",
        f"vgg19:{weights}",
        "--text",
        "textcnn",
        "--out",
        tmp_path / "two",
        *TINY,
    )
    assert two.exit_code == 0, two.stderr
    told = call("evaluate", tmp_path / "two").stderr
    assert "have changed since training" not in told
    figures = [
        json.loads(call("evaluate", tmp_path / run, "--json").stdout) for run in ("one", "two")
    ]
    maps = [report["average"]["map"] for report in figures]
    # Features in another batch differ in their last digits, which can turn near-ties around.
    assert maps[0] == pytest.approx(maps[1], abs=0.1)
    assert min(maps) > 0.5
    first, second = cs.load(tmp_path / "one"), cs.load(tmp_path / "two")
    for name in ("image", "text"):
        np.testing.assert_allclose(
            first.embed(name, data.columns[name]),
            second.embed(name, load_dataset(photos).columns[name]),
            atol=1e-4,
        )
    mixed = call("evaluate", tmp_path / "one", "--data", photos)
    assert mixed.exit_code == 2
    assert "VGG-19, fc7 after its ReLU" in mixed.stderr


def test_parts_by_processes_are_the_features_of_one(
    call: Call, photos: Path, weights: Path, tmp_path: Path
) -> None:
    words = ("extract", photos, "--image", f"vgg19:{weights}", "--text", "textcnn")
    alone = call(*words, "--out", tmp_path / "one.npz", "--cache", tmp_path / "other")
    assert alone.exit_code == 0, alone.stderr
    parts = tmp_path / "new" / "parts"
    shards = (*words, "--processes", "2", "--rows-per-file", "12", "--out", parts)
    done = call(*shards)
    assert done.exit_code == 0, done.stderr
    assert [file.name for file in sorted(parts.iterdir())] == [f"{n:05}.parquet" for n in range(3)]
    assert load_dataset(parts).fingerprint == load_dataset(tmp_path / "one.npz").fingerprint
    assert "is up to date" in call(*shards).stdout
    refused = call(*words, "--address", "auto", "--out", tmp_path / "two.npz")
    assert refused.exit_code == 2
    assert "--engine ray" in refused.stderr


def test_torchrun_is_refused_outside_of_training(
    call: Call, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    refused = call("extract", photos, "--image", "vgg19", "--out", tmp_path / "f.npz")
    assert refused.exit_code == 2
    assert "torchrun started extract in 2 processes" in refused.stderr
    assert "commonspace extract" in refused.stderr


def test_broken_photos_stop_or_are_listed(
    call: Call, photos: Path, weights: Path, tmp_path: Path
) -> None:
    (photos / "3.png").write_text("no photo", "utf-8")
    words = (
        "extract",
        photos,
        "--image",
        f"vgg19:{weights}",
        "--text",
        "textcnn",
        "--out",
        tmp_path / "f.h5",
    )
    stopped = call(*words)
    assert stopped.exit_code == 2
    assert "3.png" in stopped.stderr
    assert not (tmp_path / "f.h5").exists()
    done = call(*words, "--on-error", "skip")
    assert done.exit_code == 0, done.stderr
    assert "note: sample '3.png', image" in done.stderr
    column = load_dataset(tmp_path / "f.h5").columns["image"]
    assert np.flatnonzero(~column.present).tolist() == [3]


def test_what_is_refused_before_any_work(
    call: Call, photos: Path, weights: Path, tmp_path: Path
) -> None:
    image = ("--image", f"vgg19:{weights}")
    for words, message in (
        ((*image, "--out", tmp_path / "f.npz"), "text of 'photos' has no encoder"),
        ((*image, "--text", "textcnn", "--out", tmp_path / "f.txt"), ".parquet"),
        ((*image, "--text", "textcnn", "--out", tmp_path / "no" / "f.npz"), "no folder"),
        ((*image, "--encoder", "text", "--out", tmp_path / "f.npz"), "MODALITY=ENCODER"),
        (
            (*image, "--encoder", "image=vgg19", "--out", tmp_path / "f.npz"),
            "for modalities without an option",
        ),
    ):
        result = call("extract", photos, *words)
        assert result.exit_code == 2
        assert message in result.stderr
    assert not (tmp_path / "cache").exists()


def test_ctrl_c_says_how_to_go_on(photos: Path, weights: Path, tmp_path: Path) -> None:
    code = (
        "import sys, torch, time; from commonspace.networks.backbones.vgg19 import VGG19;"
        "first = VGG19.forward;"
        "VGG19.forward = lambda self, x:"
        " (print('on', flush=True), time.sleep(1), first(self, x))[2];"
        "from commonspace.cli.main import main; main()"
    )
    words = ["extract", photos, "--image", f"vgg19:{weights}", "--text", "textcnn"]
    options = ["--batch-size", "2", "--workers", "2", "--out", tmp_path / "f.npz"]
    run = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, [*words, *options])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "COMMONSPACE_CACHE": str(tmp_path / "cache")},
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "on\n"
    os.killpg(run.pid, signal.SIGINT)  # as a terminal does: to the workers too
    _, said = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "the same command continues from there" in said
    assert "Traceback" not in said
    until = time.monotonic() + 10
    while _group(run.pid) and time.monotonic() < until:
        time.sleep(0.1)
    assert _group(run.pid) == []


def _group(leader: int) -> list[int]:
    """Return the processes of a group that are still there."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == leader and fields[0] != "Z":
            found.append(int(place.name))
    return found
