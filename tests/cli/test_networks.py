"""User-defined networks on the command line and in a service."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import Result

import commonspace as cs
from commonspace.encoders import Vectors
from commonspace.encoders.torch_module import load_class

Call = Callable[..., Result]

NETWORK = """
import torch
from torch import nn


class TwoMaps(nn.Module):
    modalities = ("image", "text")
    dimension = 4

    def __init__(self):
        super().__init__()
        self.image, self.text = nn.Linear(12, 4), nn.Linear(7, 4)

    def embed(self, modality, inputs):
        layer = self.image if modality == "image" else self.text
        return nn.functional.normalize(layer(inputs))

    def to_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return the folder of a saved model with a user-defined network in networks.py beside it."""
    (tmp_path / "networks.py").write_text(NETWORK)
    torch.manual_seed(0)
    network = load_class(f"{tmp_path / 'networks.py'}:TwoMaps")()
    inputs = {"image": Vectors(12), "text": Vectors(7)}
    cs.CommonSpace(network, inputs, ("ant", "bee", "cat")).save(tmp_path / "run")
    return tmp_path / "run"


def test_commands_load_the_class_that_the_caller_names(
    run: Path, points_file: Path, call: Call
) -> None:
    option = ("--network", f"{run.parent / 'networks.py'}:TwoMaps")
    refused = call("evaluate", run, "--data", points_file)
    assert refused.exit_code == 2
    assert "the network is user-defined" in refused.stderr
    assert "commonspace --network FILE.py:TwoMaps COMMAND" in refused.stderr
    done = call(*option, "evaluate", run, "--data", points_file)
    assert done.exit_code == 0, done.stderr
    assert "average" in done.stdout
    shop = run.parent / "shop"
    done = call(*option, "index", run, points_file, "--out", shop)
    assert done.exit_code == 0, done.stderr
    done = call(*option, "verify", shop)
    assert done.exit_code == 0, done.stderr


def test_a_service_loads_the_class_that_the_caller_names(run: Path, points_file: Path) -> None:
    testclient = pytest.importorskip("fastapi.testclient")
    from commonspace.serve import build_app

    network = load_class(f"{run.parent / 'networks.py'}:TwoMaps")
    with cs.networks.use_networks({"TwoMaps": network}):
        space = cs.load(run)
        data = cs.load_dataset(points_file)
        cs.Index.create(run.parent / "shop", space, data).close()
        app = build_app(run.parent / "shop")
        with testclient.TestClient(app, base_url="http://localhost") as client:
            answer = client.post("/search", json={"id": data.ids[0], "k": 3})
    assert answer.status_code == 200, answer.text
    results = json.loads(answer.text)["results"]
    expected = space.search(data, id=data.ids[0], k=3)
    assert [result["id"] for result in results] == [result.id for result in expected]


def test_a_missing_class_is_named(tmp_path: Path, call: Call) -> None:
    refused = call("--network", f"{tmp_path / 'none.py'}:Net", "info", tmp_path)
    assert refused.exit_code == 2
    assert "none.py:Net cannot be loaded" in refused.stderr
