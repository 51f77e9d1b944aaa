"""Photos with captions and no labels: train, evaluate, index, search and report."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import commonspace as cs
from tests.cli.conftest import Call

COLORS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "white": (250,) * 3}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 96 photos of two colors, each with two captions and no label."""
    folder = tmp_path_factory.mktemp("photos")
    draw = np.random.default_rng(0)
    lines = []
    for number in range(96):
        left, right = draw.permutation(list(COLORS))[:2]
        pixels = np.zeros((16, 16, 3), np.uint8)
        pixels[:, :8], pixels[:, 8:] = COLORS[left], COLORS[right]
        noise = draw.integers(0, 6, pixels.shape, dtype=np.uint8)
        Image.fromarray(pixels - pixels.clip(max=noise)).save(folder / f"{number}.png")
        texts = [f"{left} beside {right}", f"photo {number} of {right} and {left}"]
        lines.append(json.dumps({"file_name": f"{number}.png", "text": texts}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def pairs_run(photos: Path, call: Call, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a space that was trained without labels."""
    folder = tmp_path_factory.mktemp("runs") / "pairs"
    result = call("train", photos, "--out", folder, "--epochs", 3, "--embedding-dim", 16)
    assert result.exit_code == 0, result.stderr
    assert "no labels: trained on the pairs by infonce" in result.stderr
    assert "validation mean recall" in result.stdout
    assert "mAP" not in result.stdout + result.stderr
    return folder


def test_training_names_what_chose_the_epoch(pairs_run: Path) -> None:
    chosen = json.loads((pairs_run / "config.json").read_text())["provenance"]["chosen"]
    records = [json.loads(line) for line in (pairs_run / "history.jsonl").read_text().splitlines()]
    assert chosen["metric"] == "mean recall"
    assert {record["metric"] for record in records} == {"mean recall"}
    assert chosen["validation_score"] == max(record["validation_score"] for record in records)


def test_evaluate_prints_the_figures_of_the_pairs(
    pairs_run: Path, photos: Path, call: Call
) -> None:
    result = call("evaluate", pairs_run, "--json")
    assert result.exit_code == 0, result.stderr
    pairs = json.loads(result.stdout)["pairs"]
    assert set(pairs) == {"image->text", "text->image", "average"}
    test = cs.load_dataset(photos).split("test")
    photo, text = pairs["image->text"], pairs["text->image"]
    assert photo["queries"] == text["gallery"] == len(test)
    captions = {text for texts in test.columns["text"].items for text in texts}  # type: ignore[attr-defined]
    assert text["queries"] == photo["gallery"] == len(captions)
    assert 0 <= photo["intervals"]["R@1"][0] <= photo["R@1"] <= photo["intervals"]["R@1"][1] <= 1
    shown = call("evaluate", pairs_run).stdout
    assert "median rank" in shown
    assert "mAP" not in shown


def test_index_search_and_report_work(pairs_run: Path, photos: Path, call: Call) -> None:
    index, report = pairs_run.parent / "index", pairs_run.parent / "report"
    assert call("index", pairs_run, photos, "--out", index).exit_code == 0
    result = call("search", index, "red beside blue", "-k", 3, "--json")
    assert result.exit_code == 0, result.stderr
    assert '"relevance": null' in result.stdout
    refused = call("search", index, "red", "--min-relevance", 0.5)
    assert refused.exit_code != 0
    assert "labeled validation samples" in refused.stderr
    result = call("report", pairs_run, "--out", report, "--formats", "svg")
    assert result.exit_code == 0, result.stderr
    page = (report / "report.html").read_text()
    assert "Pair retrieval" in page
    assert "validation mean recall" in page


def test_what_needs_labels_names_what_to_do(photos: Path, call: Call, tmp_path: Path) -> None:
    refused = call("train", photos, "--method", "dscmr", "--out", tmp_path / "run")
    assert refused.exit_code != 0
    assert "use a method that needs no labels, such as infonce" in refused.stderr
    refused = call("compare", photos, "--methods", "infonce", "--out", tmp_path / "compare")
    assert refused.exit_code != 0
    assert "has no labels" in refused.stderr


def test_the_sigmoid_objective_learns_pairs(call: Call, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    code = draw.normal(size=(300, 6))
    path = tmp_path / "pairs.npz"
    np.savez(path, image=code @ draw.normal(size=(6, 12)), text=code @ draw.normal(size=(6, 9)))
    recalls = {}
    for objective in ("softmax", "sigmoid"):
        run = tmp_path / objective
        result = call(
            "train", path, "--method", "infonce", "--set", f"objective={objective}",
            "--epochs", 25, "--learning-rate", 0.001, "--hidden-dim", 64, "--embedding-dim", 16,
            "--out", run,
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        report = json.loads(call("evaluate", run, "--json").stdout)
        recalls[objective] = report["pairs"]["average"]["R@10"]
    assert recalls["softmax"] > 0.7  # 10 of 60 items by chance: 0.17
    assert recalls["sigmoid"] > 0.7
