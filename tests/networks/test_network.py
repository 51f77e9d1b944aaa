"""The interface of networks, and the registry of the built-in ones."""

from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from commonspace.errors import SettingError, SpaceError
from commonspace.networks import LinearConfig, LinearNetwork
from commonspace.networks.network import (
    BUILT_IN,
    build_network,
    check_network,
    describe_network,
)


class Identity(nn.Module):
    """A complete user-defined network."""

    modalities = ("image", "text")
    dimension = 3

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        return inputs

    def to_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Identity":
        return cls()


@pytest.mark.parametrize("kind", BUILT_IN)
def test_each_registered_path_is_a_network(kind: str) -> None:
    module, _, name = BUILT_IN[kind].partition(":")
    cls = getattr(import_module(module), name)
    assert issubclass(cls, nn.Module)
    for member in ("modalities", "dimension", "embed", "to_config", "from_config"):
        assert hasattr(cls, member)


def test_a_built_in_network_is_built_again() -> None:
    network = LinearNetwork(LinearConfig({"image": 4}, 2))
    description = describe_network(network)
    assert description["kind"] == "linear"
    again = build_network(description)
    assert isinstance(again, LinearNetwork)
    assert again.config == network.config


def test_a_user_defined_network_is_described_by_its_path() -> None:
    description = describe_network(Identity())
    assert description == {
        "kind": "custom",
        "class": "Identity",
        "module": Identity.__module__,
        "config": {},
    }
    assert isinstance(build_network(description, {"Identity": Identity}), Identity)


def test_a_subclass_of_a_built_in_network_is_user_defined() -> None:
    class Mine(LinearNetwork):
        """Another forward pass."""

    assert describe_network(Mine(LinearConfig({"image": 4}, 2)))["class"] == "Mine"


@pytest.mark.parametrize("missing", ["modalities", "dimension", "embed"])
def test_missing_members_are_named(missing: str) -> None:
    members: dict[str, Any] = {"modalities": ("image",), "dimension": 2, "embed": Identity.embed}
    members.pop(missing)
    network = type("Partial", (nn.Module,), members)()
    with pytest.raises(SettingError, match=r"must follow commonspace\.networks\.Network") as caught:
        check_network(network)
    assert caught.value.found == f"Partial without {missing}"


@pytest.mark.parametrize(
    "members",
    [
        {"modalities": "image"},
        {"modalities": (1, 2)},
        {"dimension": lambda self: 3},
        {"dimension": 0},
        {"dimension": 2.5},
    ],
)
def test_members_of_a_wrong_type_are_rejected(members: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="`modalities` and `dimension` of Odd have a wrong type"):
        check_network(type("Odd", (Identity,), members)())


def test_only_modules_are_networks() -> None:
    plain = type("Plain", (), {"modalities": (), "dimension": 1, "embed": None})()
    with pytest.raises(SettingError, match="must follow"):
        check_network(plain)


@pytest.mark.parametrize("member", ["has_instance_block", "as_queries"])
def test_an_instance_block_is_declared_completely(member: str) -> None:
    """A misspelled or outdated method must not silently mean that there is no instance block."""
    network = type("Half", (Identity,), {member: True})()
    with pytest.raises(SettingError, match="must declare both") as caught:
        check_network(network)
    assert member in caught.value.found
    check_network(type("Both", (Identity,), {"has_instance_block": True, "as_queries": None})())


def test_a_config_that_is_not_json_is_rejected() -> None:
    class Odd(Identity):
        def to_config(self) -> dict[str, Any]:
            return {"weights": torch.zeros(1)}

    with pytest.raises(SettingError, match="a network of class Odd cannot be saved") as caught:
        describe_network(Odd())
    assert "JSON" in caught.value.expected


def test_descriptions_of_other_versions_are_rejected() -> None:
    with pytest.raises(SpaceError, match="unknown kind") as caught:
        build_network({"kind": "quantum", "config": {}})
    assert "update commonspace" in caught.value.advice
    with pytest.raises(SpaceError, match="no config"):
        build_network({"kind": "linear"})


def test_an_object_that_is_no_class_is_rejected() -> None:
    networks: dict[str, Any] = {"Identity": "Identity"}
    with pytest.raises(SettingError, match="`networks` must hold classes"):
        build_network(describe_network(Identity()), networks)
