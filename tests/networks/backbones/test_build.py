"""Construction of backbones from their descriptions."""

import pytest
import torch

from commonspace.errors import SpaceError
from commonspace.networks.backbones import BACKBONES, VectorBackbone, backbone_from_config
from commonspace.networks.backbones.image_cnn import ImageCNN
from commonspace.networks.backbones.text_cnn import TextCNN

DESCRIPTIONS = {
    "vectors": ({"size": 7}, VectorBackbone, 7),
    "image_cnn": ({"size": 9, "width": 2}, ImageCNN, 9),
    "text_cnn": ({"vocabulary": 5, "size": 6, "word_size": 4, "maps": 2}, TextCNN, 6),
}


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_a_description_builds_its_backbone(kind: str) -> None:
    arguments, expected, size = DESCRIPTIONS[kind]
    with torch.random.fork_rng(devices=[]):
        backbone = backbone_from_config({"kind": kind, **arguments})
    assert type(backbone) is expected
    assert backbone.size == size


def test_features_pass_unchanged() -> None:
    vectors = torch.tensor([[1.5, -2.0]])
    assert torch.equal(backbone_from_config({"kind": "vectors", "size": 2})(vectors), vectors)


def test_an_unknown_kind_is_rejected_with_the_known_ones() -> None:
    with pytest.raises(SpaceError) as caught:
        backbone_from_config({"kind": "transformer"})
    assert caught.value.found == "'transformer'"
    assert all(kind in caught.value.expected for kind in BACKBONES)
    assert "update" in caught.value.advice


def test_a_description_without_a_kind_is_rejected() -> None:
    with pytest.raises(SpaceError, match="None"):
        backbone_from_config({"size": 3})


@pytest.mark.parametrize("arguments", [{"size": 7, "depth": 3}, {}])
def test_arguments_of_another_version_are_rejected(arguments: dict[str, int]) -> None:
    with pytest.raises(SpaceError, match=r"depth|size") as caught:
        backbone_from_config({"kind": "vectors", **arguments})
    assert isinstance(caught.value.__cause__, TypeError)
