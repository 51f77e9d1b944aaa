"""data: the counts are those of the data, and each problem is listed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import Result

Call = Callable[..., Result]


def photos(folder: Path) -> Path:
    """Write a folder of six images, of which one is damaged and one is missing."""
    folder.mkdir()
    lines = []
    for number in range(6):
        name = f"{number}.png"
        if number != 5:
            Image.new("RGB", (8, 8), (40 * number, 0, 0)).save(folder / name)
        line = {
            "file_name": name,
            "text": [f"picture {number}", "again"][: 1 + number % 2],
            "label": "even" if number % 2 == 0 else "odd",
            "split": ["train", "validation", "test"][number // 2],
        }
        lines.append(json.dumps(line))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    damaged = folder / "2.png"
    damaged.write_bytes(damaged.read_bytes()[:40])
    return folder


def test_json_counts_a_feature_file(call: Call, points_file: Path) -> None:
    facts = json.loads(call("data", points_file, "--json").stdout)
    assert facts["samples"] == 120
    assert facts["splits"] == {"train": 72, "validation": 24, "test": 24}
    assert facts["classes"] == {
        name: {"train": 24, "validation": 8, "test": 8} for name in ("ant", "bee", "cat")
    }
    assert facts["labels"] == {"one": 120, "several": 0, "none": 0}
    assert facts["modalities"]["image"] == {
        "kind": "features",
        "form": "12-d features",
        "present": 120,
        "missing": 0,
    }
    assert facts["problems"] == []


def test_several_labels_and_none_are_counted(call: Call, points_file: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(points_file))
    marks = np.eye(3, dtype=np.uint8)[arrays["label"]]
    marks[0] = 1
    marks[1] = 0
    arrays["label"] = marks
    np.savez(tmp_path / "marks.npz", **arrays)
    facts = json.loads(call("data", tmp_path / "marks.npz", "--json").stdout)
    assert facts["labels"] == {"one": 118, "several": 1, "none": 1}


def test_each_problem_of_a_folder_is_named_and_the_rest_counted(call: Call, tmp_path: Path) -> None:
    folder = photos(tmp_path / "photos")
    result = call("data", folder)
    assert result.exit_code == 0, result.stderr
    assert "problems: 2" in result.stdout
    assert "5.png" in result.stdout
    assert "line 6" in result.stdout
    assert "2.png" in result.stdout
    facts = json.loads(call("data", folder, "--json").stdout)
    assert facts["modalities"]["image"]["missing"] == 2
    assert facts["splits"] == {"train": 2, "validation": 2, "test": 2}
    assert len(facts["problems"]) == 2


def test_the_table_counts_each_class_and_all(call: Call, points_file: Path) -> None:
    lines = call("data", points_file).stdout.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.split()}
    assert rows["bee"] == ["24", "8", "8", "40"]
    assert next(line for line in lines if "all samples" in line).split()[2:] == [
        "72",
        "24",
        "24",
        "120",
    ]
    assert "problems: none" in lines


def test_names_are_shown_as_they_are(call: Call, points_file: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(points_file))
    arrays["class_names"] = np.array(["[bold]ant", "蜜蜂", "[/red]"])
    np.savez(tmp_path / "names.npz", **arrays)
    shown = call("data", tmp_path / "names.npz").stdout
    assert all(name in shown for name in arrays["class_names"])


def test_what_cannot_be_opened_at_all_is_an_error(call: Call, tmp_path: Path) -> None:
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 no more")
    result = call("data", broken)
    assert result.exit_code == 2
    assert "broken.npz" in result.stderr
    assert "Traceback" not in result.output


def test_keys_are_shown_and_mapped(call: Call, points_file: Path, tmp_path: Path) -> None:
    assert (
        "keys: image from image, text from text, label from label"
        in call("data", points_file).stdout
    )
    arrays = dict(np.load(points_file))
    renamed = {"feats": arrays["image"], "words": arrays["text"], "kind": arrays["label"]}
    np.savez(tmp_path / "own.npz", **renamed)
    mapped = call(
        "data", tmp_path / "own.npz", "--modality", "image=feats", "--modality", "text=words",
        "--label", "kind", "--json",
    )  # fmt: skip
    facts = json.loads(mapped.stdout)
    assert facts["keys"] == {"image": "feats", "text": "words", "label": "kind"}
    assert list(facts["classes"]) == ["0", "1", "2"]
    run = tmp_path / "run"
    trained = call(
        "train", tmp_path / "own.npz", "--modality", "image=feats", "--modality", "text=words",
        "--label", "kind", "--out", run, "--epochs", 1, "--hidden-dim", 8, "--embedding-dim", 4,
        "--device", "cpu",
    )  # fmt: skip
    assert trained.exit_code == 0, trained.stderr
    evaluated = call("evaluate", run)
    assert evaluated.exit_code == 0, evaluated.stderr
    assert evaluated.stderr == ""
    refused = call("data", tmp_path / "own.npz", "--modality", "feats")
    assert refused.exit_code == 2
    assert "NAME=KEY" in refused.stderr
    missing = call("data", tmp_path / "own.npz", "--label", "kin")
    assert missing.exit_code == 2
    assert "no key 'kin'" in missing.stderr


def test_content_in_two_splits_is_a_problem(call: Call, tmp_path: Path) -> None:
    folder = tmp_path / "shots"
    folder.mkdir()
    lines = []
    for number in range(30):
        shown = number - 20 if number >= 20 else number
        Image.new("RGB", (8, 8), (8 * shown, 0, 0)).save(folder / f"{number}.png")
        split = "train" if number < 16 else "validation" if number < 20 else "test"
        line = {"file_name": f"{number}.png", "text": f"picture {shown}", "split": split}
        lines.append(json.dumps(line | {"label": "ab"[shown % 2]}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    shown_text = call("data", folder).stdout
    assert "problems: 1\n" in shown_text
    assert (
        "10 of the 10 test samples have the photo and text of a training sample, for example"
        " '20.png' of '0.png'"
    ) in shown_text
    (leak,) = json.loads(call("data", folder, "--json").stdout)["leakage"]
    assert (leak["split"], leak["count"], leak["modalities"]) == ("test", 10, ["image", "text"])
    near = call("data", folder, "--near-duplicates", "--json")
    assert near.exit_code == 0, near.stderr


def test_many_classes_are_not_all_listed(call: Call, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 100
    np.savez(
        tmp_path / "many.npz", image=rng.random((200, 3)), text=rng.random((200, 2)), label=labels
    )
    shown = call("data", tmp_path / "many.npz").stdout
    assert "61 more classes: see --json" in shown
    assert len(shown.splitlines()) < 70
    assert len(json.loads(call("data", tmp_path / "many.npz", "--json").stdout)["classes"]) == 100


def test_the_home_folder_and_any_terminal(points_file: Path, tmp_path: Path) -> None:
    arrays = dict(np.load(points_file))
    arrays["class_names"] = np.array(["chien à poil", "风筝", "boat"])
    np.savez(tmp_path / "names.npz", **arrays)
    environment = os.environ | {
        "HOME": str(tmp_path),
        "PYTHONIOENCODING": "latin-1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    for extra in ((), ("--json",)):
        result = subprocess.run(
            [sys.executable, "-m", "commonspace", "data", "~/names.npz", *extra],
            capture_output=True,
            env=environment,
            check=False,
        )
        assert result.returncode == 0, result.stderr
    assert list(json.loads(result.stdout.decode("latin-1"))["classes"])[1] == "风筝"


def test_many_problems_are_not_all_listed(call: Call, tmp_path: Path) -> None:
    lines = [f'{{"text": "number {row}", "label": "x"}}' for row in range(20)]
    (tmp_path / "metadata.jsonl").write_text("\n".join([*lines, *["{"] * 100]))
    result = call("data", tmp_path)
    assert result.exit_code == 0
    assert "more problems: see --json" in result.output
    assert result.output.count("cannot be read") < 50
    assert len(json.loads(call("data", tmp_path, "--json").output)["problems"]) > 100


def test_labels_that_other_samples_contradict_are_listed(call: Call, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    label = np.arange(120) % 3
    text = 5 * draw.normal(size=(3, 5))[label] + draw.normal(size=(120, 5))
    content = {
        "image": 5 * draw.normal(size=(3, 6))[label] + draw.normal(size=(120, 6)),
        "text": text,
        "id": [f"item {number}" for number in range(120)],
        "split": np.repeat(["train", "validation", "test"], 40),
    }
    text[10] = text[11]
    label[[4, 100]] = 2  # that of a test sample is not judged
    np.savez(tmp_path / "a.npz", label=label, **content)  # type: ignore[arg-type]
    result = call("data", tmp_path / "a.npz", "--check-labels")
    assert result.exit_code == 0, result.stderr
    assert "  item 4: 2 (" in result.stdout
    assert "  item 10: image 1, text 2" in result.stdout
    assert "item 100:" not in result.stdout
    facts = json.loads(call("data", tmp_path / "a.npz", "--check-labels", "--json").stdout)
    assert [one["id"] for one in facts["label_check"]["suspicious"]] == ["item 4"]
    assert 0 < facts["label_check"]["pair_noise"] < 0.1
    np.savez(tmp_path / "b.npz", **content)  # type: ignore[arg-type]
    pairs = call("data", tmp_path / "b.npz", "--check-labels", "--json")
    assert pairs.exit_code == 0, pairs.stderr
    check = json.loads(pairs.stdout)["pair_check"]
    assert check["pair_noise"] is None  # two thirds of 120 samples
    assert "item 10" in [one["id"] for one in check["suspicious_pairs"]]
    printed = call("data", tmp_path / "b.npz", "--check-labels").stdout
    assert "do not belong together (no share can be estimated)" in printed
    assert "of the other texts fit better" in printed
    raw = call("data", "scenes", "--check-labels")
    assert raw.exit_code == 2
    assert "needs features" in raw.stderr


def test_two_keys_for_one_modality_are_refused(call: Call, points_file: Path) -> None:
    refused = call("data", points_file, "--modality", "image=image", "--modality", "image=text")
    assert refused.exit_code == 2
    assert "two keys are given for the modality 'image'" in refused.stderr
