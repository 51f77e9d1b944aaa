"""Multi-branch network against its formulas in NumPy; its heads; its config."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from commonspace.errors import SpaceError
from commonspace.networks.branches import (
    HEADS,
    BranchesConfig,
    BranchesNetwork,
    Orthonormal,
    Scale,
    head_from_config,
)
from commonspace.networks.linear import AffineMap

BACKBONES = {"image": {"kind": "vectors", "size": 6}, "sound.wav": {"kind": "vectors", "size": 3}}
CONFIG = BranchesConfig(BACKBONES, hidden_dim=10, embedding_dim=5)
FULL = replace(
    CONFIG,
    depth=2,
    activation="tanh",
    activate_last=True,
    shared=True,
    decoded=True,
    projected=4,
    heads={
        "classes": {"kind": "layers", "sizes": [7, 3]},
        "scale": {"kind": "scale", "temperature": 0.5},
        "fixed": {"kind": "orthonormal", "columns": 2},
    },
)


def network(config: BranchesConfig) -> BranchesNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return BranchesNetwork(config)


def inputs(n: int = 7) -> dict[str, Tensor]:
    draw = np.random.default_rng(1)
    return {
        name: torch.from_numpy(draw.normal(size=(n, size))).float()
        for name, size in (("image", 6), ("sound.wav", 3))
    }


def weights(built: BranchesNetwork) -> dict[str, NDArray[np.float64]]:
    return {name: value.double().numpy() for name, value in built.state_dict().items()}


def affine(w: dict[str, NDArray[np.float64]], name: str, x: Any) -> NDArray[np.float64]:  # noqa: ANN401
    result: NDArray[np.float64] = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
    return result


def test_a_branch_is_two_layers_with_a_relu() -> None:
    built, batch = network(CONFIG), inputs()
    w = weights(built)
    with torch.no_grad():
        outputs = built(batch)
    assert list(outputs) == list(BACKBONES)
    for number, (name, x) in enumerate(batch.items()):
        h = np.maximum(affine(w, f"branches.{number}.0", x.double().numpy()), 0)
        u = affine(w, f"branches.{number}.2", h)
        np.testing.assert_allclose(outputs[name], u, rtol=1e-5, atol=1e-6)
        expected = u / np.linalg.norm(u, axis=1, keepdims=True)
        np.testing.assert_allclose(built.embed(name, x).detach(), expected, rtol=1e-5, atol=1e-6)


def test_all_options_together_equal_the_formulas() -> None:
    built, batch = network(FULL), inputs()
    draw = np.random.default_rng(2)
    maps = {name: AffineMap(draw.normal(size=5), draw.normal(size=(5, 4))) for name in BACKBONES}
    for name, one in maps.items():
        built.fixed_map(name).set(one)
    w = weights(built)
    for number, (name, x) in enumerate(batch.items()):
        h = np.tanh(affine(w, f"branches.{number}.0", x.double().numpy()))
        h = np.tanh(affine(w, f"branches.{number}.2", h))
        u = np.tanh(affine(w, "last.1", h))
        with torch.no_grad():
            found = built.represent(name, x)
            np.testing.assert_allclose(found, u, rtol=1e-5, atol=1e-6)
            z = (u - maps[name].shift) @ maps[name].matrix
            expected = z / np.linalg.norm(z, axis=1, keepdims=True)
            np.testing.assert_allclose(built.embed(name, x), expected, rtol=1e-4, atol=1e-5)
            back = np.tanh(affine(w, f"decoders.{number}.0", u))
            back = np.tanh(affine(w, f"decoders.{number}.2", back))
            back = affine(w, f"decoders.{number}.4", back)
            np.testing.assert_allclose(built.decode(name, found), back, rtol=1e-4, atol=1e-5)
            classes = np.maximum(affine(w, "heads.classes.0", u), 0)
            classes = affine(w, "heads.classes.2", classes)
            np.testing.assert_allclose(built.heads["classes"](found), classes, rtol=1e-4, atol=1e-5)
    assert built.dimension == 4


def test_only_a_shared_last_layer_has_gradients_of_both_modalities() -> None:
    batch = inputs()
    touched = {}
    for shared in (False, True):
        built = network(replace(CONFIG, shared=shared))
        built(batch)["image"].sum().backward()
        touched[shared] = {
            name
            for name, value in built.named_parameters()
            if value.grad is not None and value.grad.any()
        }
    own = {"branches.0.0.weight", "branches.0.0.bias"}
    assert touched[False] == own | {"branches.0.2.weight", "branches.0.2.bias"}
    assert touched[True] == own | {"last.1.weight", "last.1.bias"}


def test_the_learned_scale_stays_between_0_and_100() -> None:
    scale = Scale(temperature=0.25)
    assert scale().item() == pytest.approx(4.0, rel=1e-5)
    with torch.no_grad():
        scale.logarithm.fill_(50.0)
        assert scale().item() == 100.0
        scale.logarithm.fill_(-50.0)
        assert scale().item() > 0


@pytest.mark.parametrize(("size", "columns"), [(5, 5), (8, 3), (3, 1)])
def test_the_fixed_matrix_is_orthonormal_and_not_trained(size: int, columns: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        head = Orthonormal(size, columns)
    gram = head.matrix.T @ head.matrix
    torch.testing.assert_close(gram, torch.eye(columns), atol=1e-5, rtol=0)
    assert not head.matrix.requires_grad
    x = torch.eye(size, requires_grad=True)
    torch.testing.assert_close(head(x), head.matrix)


def test_an_unknown_head_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(SpaceError) as caught:
        head_from_config({"kind": "tail"}, 4)
    assert caught.value.found == "'tail'"
    assert all(kind in caught.value.expected for kind in HEADS)
    with pytest.raises(SpaceError, match="layers") as caught:
        head_from_config({"kind": "layers", "breadth": 3}, 4)
    assert isinstance(caught.value.__cause__, TypeError)


def test_a_config_through_json_builds_the_same_network() -> None:
    built, batch = network(FULL), inputs()
    described = json.loads(json.dumps(built.to_config()))
    with torch.random.fork_rng(devices=[]):
        again = BranchesNetwork.from_config(described)
    assert again.to_config() == described
    again.load_state_dict(built.state_dict())
    for name, x in batch.items():
        assert torch.equal(again.represent(name, x), built.represent(name, x))
