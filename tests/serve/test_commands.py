"""The commands serve, map and key; and the class posterior of an item."""

from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import commonspace as cs
from commonspace import CommonSpace, Dataset
from commonspace.cli.main import build
from commonspace.methods import PosteriorMatching
from commonspace.networks.posterior import PosteriorNetwork
from commonspace.serve.access import find_key, read_keys
from commonspace.serve.projection import read_map
from commonspace.serve.service import class_posterior


def test_other_machines_need_a_key(index: Path) -> None:
    done = CliRunner().invoke(build(), ["serve", str(index), "--host", "0.0.0.0"])
    assert done.exit_code == 2
    assert "would accept requests from the whole network" in done.stderr
    assert "--allow-anonymous" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["absent"], "is not an index"),
        (["INDEX", "--keys", "absent"], "cannot be read as a key file"),
    ],
)
def test_an_index_or_key_file_that_cannot_be_read_is_reported(
    index: Path, words: list[str], said: str
) -> None:
    given = [str(index) if word == "INDEX" else word for word in words]
    done = CliRunner().invoke(build(), ["serve", *given])
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_new_key_is_printed_and_accepted(tmp_path: Path) -> None:
    done = CliRunner().invoke(build(), ["key", str(tmp_path / "keys"), "laptop"])
    assert done.exit_code == 0
    assert find_key(read_keys(tmp_path / "keys"), done.stdout.strip()) == "laptop"


def test_the_command_makes_a_map_of_every_vector(index: Path, tmp_path: Path) -> None:
    copytree(index, tmp_path / "copy")
    done = CliRunner().invoke(build(), ["map", str(tmp_path / "copy"), "--max-points", "20"])
    assert done.exit_code == 0
    assert "a map of 72 points" in done.stdout
    found = read_map(tmp_path / "copy")
    assert found is not None
    assert len(found["x"]) == 72


def test_the_posterior_is_that_of_the_network(feature_dataset: Dataset) -> None:
    method = PosteriorMatching(epochs=1, hidden_dim=8, device="cpu")
    space = method.fit(
        feature_dataset.split("train"), feature_dataset.split("validation"), cs.RunConfig()
    )
    network = space.network
    assert isinstance(network, PosteriorNetwork)
    item = feature_dataset.columns["image"].take(np.array([3]))
    with torch.inference_mode():
        rescaled = network.rescale("image", space.inputs["image"](item))
        wanted = network.posterior("image", rescaled)[0].numpy()
    said = class_posterior(space, {"image": space.embed("image", item)[0]})
    assert said is not None
    found = said["image"]
    assert [found[name] for name in space.class_names] == pytest.approx(list(wanted), abs=1e-5)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_other_spaces_have_no_posterior(shop_space: CommonSpace) -> None:
    assert class_posterior(shop_space, {"image": np.zeros(8, dtype=np.float32)}) is None
