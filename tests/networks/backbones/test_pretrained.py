"""Models of transformers: each pooling against the model itself, on small random models."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from commonspace.errors import SettingError, SpaceError
from commonspace.networks.backbones import backbone_from_config
from commonspace.networks.backbones.lora import merge_lora
from commonspace.networks.backbones.pretrained import NO_TOKEN, PretrainedImages, PretrainedTexts

VISION = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "vocab_size": 30,
    "max_position_embeddings": 12,
}
VIT = {"model_type": "vit", **VISION}
BERT = {"model_type": "bert", **TEXT}
CONVOLUTIONS = {"model_type": "mobilenet_v2", "depth_multiplier": 0.1, "finegrained_output": False}
CLIP = {
    "model_type": "clip",
    "projection_dim": 10,
    "text_config": {**TEXT, "eos_token_id": 29},
    "vision_config": VISION,
}

IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
TOKENS = torch.tensor([[2, 5, 6, 7, 29], [2, 8, 29, NO_TOKEN, NO_TOKEN]])


@torch.inference_mode()
def test_poolings_of_images() -> None:
    torch.manual_seed(0)
    for name in ("pooler", "mean"):
        backbone = PretrainedImages(VIT, name, 16).eval()
        output = backbone.model(pixel_values=IMAGES)
        expected = output.pooler_output if name == "pooler" else output.last_hidden_state.mean(1)
        assert torch.equal(backbone(IMAGES), expected)
    bytes_ = torch.tensor([[0, 51, 255]], dtype=torch.uint8)[:, :, None, None].expand(1, 3, 8, 8)
    backbone = PretrainedImages(VIT, "mean", 16, mean=[0.0, 0.2, 0.5], std=[1.0, 0.5, 0.25]).eval()
    values = torch.tensor([0.0, 0.0, 2.0])[None, :, None, None].expand(1, 3, 8, 8)
    expected = backbone.model(pixel_values=values).last_hidden_state.mean(1)
    torch.testing.assert_close(backbone(bytes_), expected)


@torch.inference_mode()
def test_poolings_of_texts_ignore_padding() -> None:
    torch.manual_seed(0)
    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "mean": lambda hidden: hidden.mean(1),
        "max": lambda hidden: hidden.amax(1),
        "cls": lambda hidden: hidden[:, 0],
        "lasttoken": lambda hidden: hidden[:, -1],
    }
    for name, pool in ways.items():
        backbone = PretrainedTexts(BERT, name, 16).eval()
        found = backbone(TOKENS)
        for row, length in ((0, 5), (1, 3)):
            hidden = backbone.model(input_ids=TOKENS[row : row + 1, :length]).last_hidden_state
            torch.testing.assert_close(found[row : row + 1], pool(hidden))


@torch.inference_mode()
def test_dense_layers_and_unit_length() -> None:
    torch.manual_seed(0)
    backbone = PretrainedTexts(
        BERT, "mean", 4, dense=[(16, 4, True, "Tanh")], unit_length=True
    ).eval()
    plain = PretrainedTexts(BERT, "mean", 16).eval()
    plain.model.load_state_dict(backbone.model.state_dict())
    layer = backbone.dense[0][0]  # type: ignore[index]
    expected = (plain(TOKENS) @ layer.weight.T + layer.bias).tanh()
    torch.testing.assert_close(backbone(TOKENS), expected / expected.norm(dim=1, keepdim=True))


@torch.inference_mode()
def test_towers_keep_their_half_and_give_its_projection() -> None:
    from transformers import CLIPConfig, CLIPModel

    torch.manual_seed(0)
    whole = CLIPModel(CLIPConfig(**{k: v for k, v in CLIP.items() if k != "model_type"})).eval()
    images = PretrainedImages(CLIP, "image tower", 10).eval()
    texts = PretrainedTexts(CLIP, "text tower", 10).eval()
    for backbone, other in ((images, "text"), (texts, "vision")):
        names = set(backbone.model.state_dict())
        assert names < set(whole.state_dict())
        assert not any(name.startswith(other) for name in names)
        backbone.model.load_state_dict({name: whole.state_dict()[name] for name in names})
    expected = whole.get_image_features(pixel_values=IMAGES).pooler_output
    torch.testing.assert_close(images(IMAGES), expected)
    mask = (TOKENS != NO_TOKEN).long()
    read = whole.get_text_features(input_ids=TOKENS.clamp(min=0), attention_mask=mask)
    torch.testing.assert_close(texts(TOKENS), read.pooler_output)


def test_the_last_block_is_the_top() -> None:
    images = PretrainedImages(CLIP, "image tower", 10)
    images.fine_tune("top")
    trained = {name for name, one in images.named_parameters() if one.requires_grad}
    assert any(".layers.2." in name for name in trained)
    assert not any(".layers.0." in name or ".layers.1." in name for name in trained)
    assert not any("embeddings" in name for name in trained)
    assert "model.visual_projection.weight" in trained


def test_low_rank_updates_are_trained_alone_and_merged() -> None:
    torch.manual_seed(3)
    texts = PretrainedTexts(BERT, "mean", 16).eval()
    before = {name: tensor.clone() for name, tensor in texts.state_dict().items()}
    expected = texts(TOKENS)
    texts.fine_tune("lora")
    trained = [name for name, one in texts.named_parameters() if one.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    torch.testing.assert_close(texts(TOKENS), expected)  # an update starts at zero
    with torch.no_grad():
        for name, one in texts.named_parameters():
            if "lora_B" in name:
                one.normal_()
    changed = texts(TOKENS)
    assert not torch.allclose(changed, expected)
    merge_lora(texts)
    assert texts.state_dict().keys() == before.keys()
    torch.testing.assert_close(texts(TOKENS), changed)
    update = texts.state_dict()["model.encoder.layer.0.output.dense.weight"]
    difference = update - before["model.encoder.layer.0.output.dense.weight"]
    assert torch.linalg.matrix_rank(difference) == 8
    with pytest.raises(SettingError, match="'lora' is not supported"):
        PretrainedImages(CONVOLUTIONS, "mean", 16).fine_tune("lora")


def test_gradients_are_checkpointed_without_changing_them() -> None:
    found = []
    for checkpointed in (False, True):
        torch.manual_seed(3)
        backbone = PretrainedTexts(
            {**BERT, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}, "mean", 16
        )
        if checkpointed:
            backbone.checkpoint_gradients()
        backbone.train()
        backbone(TOKENS).square().sum().backward()  # type: ignore[no-untyped-call]
        found.append(
            {name: one.grad for name, one in backbone.named_parameters() if one.grad is not None}
        )
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name])


def test_unknown_architectures_and_poolings_are_rejected() -> None:
    for config in (
        {
            "kind": "pretrained_images",
            "config": {"model_type": "no-such"},
            "pooling": "mean",
            "size": 4,
        },
        {"kind": "pretrained_images", "config": VIT, "pooling": "no-such", "size": 4},
    ):
        with pytest.raises(SpaceError):
            backbone_from_config(config)


def test_a_backbone_is_built_again_from_its_description() -> None:
    config = {"kind": "pretrained_texts", "config": BERT, "pooling": "mean", "size": 16}
    one, other = backbone_from_config(config).eval(), backbone_from_config(config).eval()
    other.load_state_dict(one.state_dict())
    assert isinstance(other, nn.Module)
    with torch.inference_mode():
        assert torch.equal(one(TOKENS), other(TOKENS))
