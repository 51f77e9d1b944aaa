"""Methods from the command line: settings by option, --set and --config, and user-defined ones."""

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import commonspace as cs
from commonspace.cli.methods import (
    choose_method,
    collect_settings,
    configure_method,
    parse_assignment,
)
from commonspace.data import Texts
from commonspace.errors import SettingError
from commonspace.methods import CCA, DSCMR, ClosedFormMethod, EncoderConfig, GradientMethod
from commonspace.registry import METHODS, make_method

Call = Callable[..., Result]

GRADIENT = [name for name in METHODS if isinstance(make_method(name), GradientMethod)]
CLOSED_FORM = [name for name in METHODS if isinstance(make_method(name), ClosedFormMethod)]

CENTER_LOSS = """
import commonspace as cs
from commonspace.settings import setting

class CenterLoss(cs.GradientMethod):
    margin: float = setting(0.2, help="Margin.", above=0)

    def loss(self, embeddings, labels):
        centers = sum(labels.T @ z for z in embeddings.values())
        return sum(((z - labels @ centers).norm(dim=1) - self.margin).relu().mean()
                   for z in embeddings.values())
"""


@pytest.mark.parametrize("name", ["cca", "scm", "mvda-vc"])
def test_closed_form_methods_are_trained_and_evaluated(
    name: str, call: Call, points_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    done = call("train", points_file, "--method", name, "--out", run)
    assert done.exit_code == 0, done.output
    trials = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert f"best of {len(trials)} settings, " in done.stdout
    best = max(trial["validation_score"] for trial in trials)
    assert f"validation mAP {best:.3f}, after " in done.stdout
    measured = call("evaluate", run, "--json")
    assert measured.exit_code == 0, measured.output
    assert json.loads(measured.stdout)["average"]["map"] > 0.6  # chance is a third


@pytest.mark.parametrize("name", ["infonce", "dcca"])
def test_options_reach_a_method_that_trains(
    name: str, call: Call, points_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    sizes = ("--hidden-dim", 16, "--embedding-dim", 8, "--learning-rate", 1e-2, "--epochs", 12)
    done = call("train", points_file, "--method", name, *sizes, "--seed", 3, "--out", run)
    assert done.exit_code == 0, done.output
    assert "of 12: validation mAP" in done.stdout
    options = json.loads((run / "config.json").read_text())["provenance"]["method"]["options"]
    given = {"hidden_dim": 16, "embedding_dim": 8, "epochs": 12, "seed": 3, "patience": 20}
    assert {option: options[option] for option in given} == given
    measured = call("evaluate", run, "--json")
    assert json.loads(measured.stdout)["average"]["map"] > 0.6  # chance is a third


@pytest.mark.parametrize("name", [name for name in GRADIENT if name != "dscmr"])
def test_settings_of_another_method_are_refused(
    name: str, call: Call, points_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    done = call("train", points_file, "--method", name, "--set", "eta=1", "--out", out)
    assert done.exit_code == 2
    assert f"{name} has no setting `eta`" in done.stderr
    assert "learning_rate" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize("name", CLOSED_FORM)
def test_settings_of_training_are_refused_in_closed_form(
    name: str, call: Call, points_file: Path, tmp_path: Path
) -> None:
    method = make_method(name)
    settings = {one.name for one in fields(method)}
    expected = replace(method, seed=3) if "seed" in settings else method
    assert configure_method(name, {"seed": 3, "device": "cpu"}) == expected
    out = tmp_path / "run"
    done = call("train", points_file, "--method", name, "--patience", 3, "--out", out)
    assert done.exit_code == 2
    assert f"{name} has no setting `patience`" in done.stderr
    assert not out.exists()
    if "encoders" not in settings:
        with pytest.raises(SettingError, match="has no setting `encoders`"):
            configure_method(name, {"encoders": {"specs": {"image": "vgg19"}}})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("size=3", ("size", 3)),
        ("rate = 5e-1", ("rate", 0.5)),
        ("rate=1e-3", ("rate", 1e-3)),
        ("flag=true", ("flag", True)),
        ("mode=b", ("mode", "b")),
        ('mode="b"', ("mode", "b")),
        ("pair=[0.5, 0.6]", ("pair", [0.5, 0.6])),
        ("encoders.fine-tune=top", ("encoders.fine_tune", "top")),
        ("free=a=b", ("free", "a=b")),
    ],
)
def test_assignments_are_read_like_toml(text: str, expected: tuple[str, object]) -> None:
    assert parse_assignment(text) == expected


def test_every_setting_of_dscmr_arrives(tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(
        'preset = "paper"\nalpha = 1\nbetas = [0.5, 0.9]\n'
        '[encoders]\nfine_tune = "top"\nspecs = {image = "vgg19"}\n'
    )
    words = [
        "preset=official",
        "lam=0.25",
        "eta=75e-2",
        "classifier=closed_form",
        "relu-after-shared=true",
        "norm=rows",
        "encoders.multi_caption=mean",
    ]
    options = {"seed": 7, "epochs": 3, "patience": 0, "batch_size": None, "precision": "bfloat16"}
    settings = collect_settings(options, words, config)
    assert configure_method("dscmr", settings) == DSCMR(
        preset="official",
        alpha=1.0,
        lam=0.25,
        eta=0.75,
        classifier="closed_form",
        relu_after_shared=True,
        norm="rows",
        betas=(0.5, 0.9),
        seed=7,
        epochs=3,
        patience=None,
        precision="bfloat16",
        encoders=EncoderConfig(specs={"image": "vgg19"}, fine_tune="top", multi_caption="mean"),
    )
    assert isinstance(configure_method("dscmr", settings).alpha, float)  # type: ignore[attr-defined]


def test_a_variant_keeps_its_own_settings() -> None:
    assert configure_method("rcca", {"dimension": 3}) == CCA(regularization=None, dimension=3)
    assert configure_method("cca", {"regularization": "none"}) == CCA(regularization=None)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["epochs"], "'epochs' is not a setting"),
        (["=3"], "'=3' is not a setting"),
        (["lr=3"], "use `learning_rate`"),
        (["epoch=3"], "use `epochs`"),
        (["eta=-1"], "`eta` must be >= 0 or None, got -1"),
        (["preset=printed"], "'paper' or 'official', got 'printed'"),
        (["epochs=many"], "`epochs` must be a whole number >= 1 or None, got 'many'"),
        (["encoders.tune=all"], "has no setting `tune`"),
    ],
)
def test_wrong_settings_are_refused_with_advice(words: list[str], message: str) -> None:
    with pytest.raises(SettingError) as caught:
        configure_method("dscmr", collect_settings({}, words))
    assert message in str(caught.value)


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        collect_settings({}, [], tmp_path / "nowhere.toml")
    (tmp_path / "broken.toml").write_text("epochs 3")
    with pytest.raises(SettingError, match="cannot be read"):
        collect_settings({}, [], tmp_path / "broken.toml")


@pytest.mark.parametrize("name", ["dscmr", "cca", "own"])
def test_settings_are_listed(name: str, call: Call, tmp_path: Path) -> None:
    if name == "own":
        (tmp_path / "own.py").write_text(CENTER_LOSS)
        name = f"{tmp_path / 'own.py'}:CenterLoss"
    page = call("train", "--list-settings", name)
    assert page.exit_code == 0, page.output
    expected = {
        "dscmr": ("eta (default: None, >= 0)", "Factor of J3", "encoders.fine_tune (default: "),
        "cca": ("regularization (default: 0.0, >= 0 and <= 1)",),
    }
    for text in expected.get(name, ("margin (default: 0.2, > 0)", "epochs (default: 100, >= 1)")):
        assert text in page.stdout
    assert call("train", "--list-settings", "magic").exit_code == 2


def test_a_loss_in_a_file_is_trained_saved_and_evaluated(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(CENTER_LOSS)
    method, run = f"{tmp_path / 'own.py'}:CenterLoss", tmp_path / "run"
    words = ("--method", method, "--set", "margin=0.1", "--epochs", 3, "--out", run)
    done = call("train", points_file, *words)
    assert done.exit_code == 0, done.output
    assert cs.load(run).provenance["method"]["options"]["margin"] == 0.1
    assert call("evaluate", run).exit_code == 0
    wrong = call(
        "train", points_file, "--method", method, "--set", "margins=1", "--out", tmp_path / "x"
    )
    assert "use `margin`" in wrong.stderr
    missing = call("train", points_file, "--method", f"{method}s", "--out", tmp_path / "other")
    assert missing.exit_code == 2
    assert "has no class CenterLosss" in missing.stderr


def test_a_method_that_does_not_suit_the_data_leaves_no_folder(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    done = call("train", points_file, "--method", "raw", "--out", tmp_path / "run")
    assert done.exit_code == 2
    assert "'image': 12, 'text': 7" in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("settings", "raw", "name"),
    [
        ({}, (), "posterior"),
        ({"epochs": 3, "seed": 1}, (), "posterior"),
        ({"lam": 0.1}, (), "dscmr"),
        ({"preset": "official"}, (), "dscmr"),
        ({}, ("text",), "dscmr"),
        ({"encoders": {"specs": {"text": "hf:somewhere"}}}, ("text",), "posterior"),
        ({"encoders": {"specs": {"text": "textcnn"}}}, ("text",), "dscmr"),
        (
            {"encoders": {"specs": {"text": "hf:somewhere"}, "fine_tune": "top"}},
            ("text",),
            "posterior",
        ),
    ],
)
def test_the_default_method_suits_the_data(
    settings: dict[str, Any], raw: tuple[str, ...], name: str, points_file: Path
) -> None:
    data = cs.load_dataset(points_file)
    texts = Texts([("a word",)] * len(data))
    columns = {one: texts if one in raw else column for one, column in data.columns.items()}
    assert choose_method(replace(data, columns=columns), settings) == name


def test_training_on_features_uses_posterior_matching(
    call: Call, points_file: Path, tmp_path: Path
) -> None:
    done = call("train", points_file, "--epochs", 2, "--hidden-dim", 8, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.stderr
    space = cs.load(tmp_path / "run")
    assert space.provenance["method"]["name"] == "posterior"
