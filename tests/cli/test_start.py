"""start: every step is done once, continues after a stop, and is done again for other data."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

import commonspace as cs
from commonspace.datasets.scenes.scenes import scenes
from commonspace.retrieval import Index

Call = Callable[..., Result]
FEW = ("--set", "epochs=2", "--no-serve", "--device", "cpu")


@pytest.fixture
def start(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Run start in a folder of its own, without any cached model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "no-models"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "no-models"))
    return lambda *words: call("start", *words, *FEW)


def class_folders(folder: Path) -> None:
    """Write 30 pictures of three classes, a folder for each class."""
    drawn = scenes(per_class=10)
    column = drawn.columns["image"]
    assert isinstance(column, cs.Images)
    for row in range(30):
        place = folder / drawn.class_names[int(np.flatnonzero(drawn.labels[row])[0])]
        place.mkdir(parents=True, exist_ok=True)
        item = column.items[row]
        assert isinstance(item, np.ndarray)
        Image.fromarray(item).save(place / f"{row}.png")


def test_the_second_start_uses_what_the_first_one_made(start: Call, points_file: Path) -> None:
    first = start(points_file)
    assert first.exit_code == 0, first.stderr
    out = Path("points-search")
    weights = (out / "run/model.safetensors").stat().st_mtime_ns
    with Index.open(out / "index") as index:
        assert len(index) == 120
        assert index.fingerprint == cs.load(out / "run").fingerprint
    second = start(points_file)
    assert second.exit_code == 0, second.stderr
    assert [
        line[:9].strip() for line in second.stdout.splitlines() if "finished before" in line
    ] == [
        "train",
        "evaluate",
        "index",
    ]
    assert (out / "run/model.safetensors").stat().st_mtime_ns == weights


def test_the_printed_figure_is_that_of_the_test_split(start: Call, points_file: Path) -> None:
    result = start(points_file)
    report = cs.load("points-search/run").evaluate(cs.load_dataset(points_file), split="test")
    assert f"mAP {report.map:.3f}" in result.stdout


def test_other_settings_keep_the_earlier_results_and_find_them_again(
    start: Call, points_file: Path
) -> None:
    start(points_file)
    before = cs.load("points-search/run").fingerprint
    other = start(points_file, "--set", "seed=5")
    assert "the earlier results are in" in other.stdout
    assert cs.load("points-search/run").fingerprint != before
    again = start(points_file)
    assert again.stdout.count("finished before") == 3
    assert cs.load("points-search/run").fingerprint == before


def test_after_a_stop_while_indexing_nothing_is_trained_again(
    start: Call, points_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:

        def stop(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        patched.setattr("commonspace.retrieval.writing.Writer.write", stop)
        stopped = start(points_file)
    assert stopped.exit_code == 130
    assert "continue with: commonspace" in stopped.stderr
    result = start(points_file)
    assert result.exit_code == 0, result.stderr
    assert "train     finished before" in result.stdout
    assert "index     120 items" in result.stdout


def test_changed_fields_reach_the_index_without_training(
    start: Call, tmp_path: Path, points_file: Path
) -> None:
    content = dict(np.load(points_file))
    np.savez(tmp_path / "shop.npz", **content, price=np.arange(120))
    start("shop.npz")
    np.savez(tmp_path / "shop.npz", **content, price=np.arange(120) + 1000)
    result = start("shop.npz")
    assert "train     finished before" in result.stdout
    with Index.open("shop-search/index") as index:
        item = index.item("7")
        assert item is not None
        assert item.fields["price"] == 1007


def test_labels_of_people_stay_in_the_index_of_changed_data(
    start: Call, tmp_path: Path, points_file: Path
) -> None:
    content = dict(np.load(points_file))
    np.savez(tmp_path / "shop.npz", **content, price=np.arange(120))
    start("shop.npz")
    folder = Path("shop-search/index")
    with Index.open(folder) as index:
        index.set_labels({"7": ["other"], "119": ["other"]})
    given = [json.dumps({"id": id, "labels": ["other"]}) for id in ("7", "119")]
    folder.with_name("index-labels.jsonl").write_text("\n".join(given))
    np.savez(tmp_path / "shop.npz", **content, price=np.arange(120) + 1000)
    start("shop.npz")
    with Index.open(folder) as index:
        for id in ("7", "119"):
            item = index.item(id)
            assert item is not None
            assert item.labels == ("other",)
            assert item.fields["price"] >= 1000


def test_photos_without_texts_are_found_by_the_names_of_their_classes(
    start: Call, tmp_path: Path
) -> None:
    class_folders(tmp_path / "my photos")
    result = start("my photos", "--set", "hidden_dim=16")
    assert result.exit_code == 0, result.stderr
    assert "the names of the classes are used as texts" in result.stdout
    assert "commonspace start 'my photos' --image hf:" in result.stdout  # what would be better
    assert "commonspace serve 'my photos-search/index'" in result.stdout
    with Index.open("my photos-search/index") as index:
        found = index.search(text=index.summary().classes[0], k=3, modality="image")
    assert len(found) == 3


def test_an_encoder_that_cannot_be_loaded_leaves_the_earlier_page(
    start: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    class_folders(tmp_path / "photos")
    assert start("photos", "--set", "hidden_dim=16").exit_code == 0
    before = sorted(path for path in Path("photos-search").rglob("*") if path.is_file())
    failed = start("photos", "--image", "hf:no-such-model")
    assert failed.exit_code == 2
    assert "no-such-model" in failed.stderr
    assert sorted(path for path in Path("photos-search").rglob("*") if path.is_file()) == before
    assert "index     finished before" in start("photos", "--set", "hidden_dim=16").stdout


def test_photos_alone_are_refused_with_what_to_add(start: Call, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    rows = []
    for number in range(6):
        Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(tmp_path / f"photos/{number}.png")
        rows.append(json.dumps({"file_name": f"{number}.png"}))
    (tmp_path / "photos/metadata.jsonl").write_text("\n".join(rows))
    result = start("photos")
    assert result.exit_code == 2
    assert "has only image" in result.stderr
    assert '"text"' in result.stderr


def test_the_page_is_served_at_the_end(points_file: Path, tmp_path: Path) -> None:
    words = ["start", str(points_file), "--out", str(tmp_path / "out"), "--set", "epochs=2"]
    with subprocess.Popen(
        [sys.executable, "-m", "commonspace", *words, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        try:
            address = None
            for line in process.stdout:
                if served := re.search(r"http://127.0.0.1:\d+/", line):
                    address = served[0]
                    break
            assert address is not None
            with urlopen(f"{address}v1/about", timeout=20) as answer:
                about = json.load(answer)
            assert (about["name"], about["items"]) == ("points", 120)
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0
