"""A model that is built when it is first used against the same model built at once."""

import torch

from commonspace.networks.backbones.deferred import DeferredModel, deferring
from commonspace.networks.backbones.pretrained import PretrainedImages
from tests.networks.backbones.test_pretrained import CONVOLUTIONS, IMAGES


@torch.inference_mode()
def test_weights_features_and_hash_are_those_of_the_model() -> None:
    torch.manual_seed(0)
    plain = PretrainedImages(CONVOLUTIONS, "mean", 128).eval()
    weights = plain.state_dict()
    with deferring():
        deferred = PretrainedImages(CONVOLUTIONS, "mean", 128).eval()
    deferred.load_state_dict(weights)
    assert isinstance(deferred.model, DeferredModel)
    held = deferred.state_dict()
    assert held.keys() == weights.keys()
    assert all(torch.equal(held[name], weights[name]) for name in weights)
    assert {name for name, _ in deferred.named_buffers()} == {
        name for name, _ in plain.named_buffers()
    }
    assert not isinstance(PretrainedImages(CONVOLUTIONS, "mean", 128).model, DeferredModel)
    torch.testing.assert_close(deferred(IMAGES), plain(IMAGES))
    assert not any(isinstance(one, DeferredModel) for one in deferred.children())
    assert not deferred.built().training
    assert deferred.state_dict().keys() == weights.keys()
