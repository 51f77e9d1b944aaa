"""BERT in plain torch against the model of transformers with the same weights."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from commonspace.networks.backbones.bert import BertEncoder, bert_from_config, is_plain_bert
from commonspace.networks.backbones.pretrained import model_from_config
from commonspace.space_files import network_weights

SIZES = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "vocab_size": 30,
    "max_position_embeddings": 14,
}
TOKENS = torch.tensor([[2, 5, 6, 7, 29], [2, 8, 29, 1, 1], [4, 3, 29, 1, 0], [1, 1, 1, 1, 1]])


def full_config(model_type: str, hidden_act: str = "gelu") -> dict[str, Any]:
    """Return a configuration with all settings, as it is stored."""
    from transformers import AutoConfig

    config = AutoConfig.for_model(
        model_type, **SIZES, pad_token_id=1, hidden_act=hidden_act
    ).to_dict()
    found: dict[str, Any] = json.loads(json.dumps(config))
    return {**found, "dtype": "float32"}


def pair(config: dict[str, Any]) -> tuple[BertEncoder, nn.Module]:
    """Return the encoder of plain torch and that of transformers, with the same weights."""
    torch.manual_seed(0)
    theirs = model_from_config(config, "text")
    with torch.no_grad():
        for weights in theirs.parameters():
            weights.add_(0.2 * torch.randn_like(weights))
    assert is_plain_bert(config)
    ours = bert_from_config(config)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def last(model: nn.Module, mask: Tensor) -> Tensor:
    hidden: Tensor = model(input_ids=TOKENS, attention_mask=mask).last_hidden_state
    return hidden


@pytest.mark.parametrize("model_type", ["bert", "roberta", "xlm-roberta", "camembert"])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_hidden_states_and_gradients_are_those_of_transformers(
    model_type: str, activation: str
) -> None:
    ours, theirs = pair(full_config(model_type, hidden_act=activation))
    ours.eval()
    theirs.eval()
    for mask in (TOKENS != 1, torch.ones_like(TOKENS)):
        present = mask.bool()
        mine, other = last(ours, mask.long()), last(theirs, mask.long())
        torch.testing.assert_close(mine[present], other[present], rtol=1e-4, atol=1e-5)
        torch.autograd.backward(mine[present].square().sum())
        torch.autograd.backward(other[present].square().sum())
        for (name, one), (_, two) in zip(
            sorted(ours.named_parameters()), sorted(theirs.named_parameters()), strict=True
        ):
            if one.grad is None or two.grad is None:
                assert name.startswith("pooler"), name
                continue
            torch.testing.assert_close(one.grad, two.grad, rtol=1e-3, atol=1e-3)
            one.grad = two.grad = None


def test_weights_have_the_same_names_in_the_same_order() -> None:
    ours, theirs = pair(full_config("bert"))
    assert [*network_weights(ours)] == [*network_weights(theirs)]


def test_unusual_settings_are_left_to_transformers() -> None:
    config = full_config("bert")
    assert is_plain_bert(config)
    for name, value in (
        ("hidden_act", "gelu_new"),
        ("position_embedding_type", "relative_key"),
        ("is_decoder", True),
        ("chunk_size_feed_forward", 2),
        ("model_type", "mpnet"),
        ("pad_token_id", None),
    ):
        assert not is_plain_bert({**config, name: value}), name
    assert not is_plain_bert({"model_type": "bert", **SIZES})  # defaults are theirs
