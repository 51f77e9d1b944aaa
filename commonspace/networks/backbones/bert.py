"""BERT and RoBERTa encoders in plain torch, with the names of weights of the transformers library.

Most sentence encoders are of this kind (MiniLM, BGE, E5, XLM-RoBERTa). Importing transformers takes
longer than importing torch twice, which would be most of the time of a search from the command
line; a saved model of this kind needs torch alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

__all__ = ["BertEncoder", "bert_from_config", "is_plain_bert"]

_OFFSET = frozenset({"roberta", "xlm-roberta", "camembert"})
"""Architectures that number the positions from the padding token on, and skip padding."""

_ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU}

_USUAL: Mapping[str, tuple[Any, ...]] = {
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "chunk_size_feed_forward": (0,),
    "is_encoder_decoder": (False,),
    "pruned_heads": ({},),
    "dtype": ("float32", None),
}
"""Settings that change the network, with the values that are supported here; others are sizes."""


@dataclass(frozen=True)
class _Sizes:
    """The sizes of a network, by the names of transformers."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    hidden_act: str
    hidden_dropout_prob: float
    attention_probs_dropout_prob: float
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float
    pad_token_id: int


def is_plain_bert(config: Mapping[str, Any]) -> bool:
    """Return whether a model can be built here: BERT or RoBERTa without unusual settings.

    Args:
        config: configuration of transformers as JSON, with its "model_type" and all sizes.

    Example:
        >>> is_plain_bert({"model_type": "clip"})
        False
    """
    if config.get("model_type") not in {"bert", *_OFFSET}:
        return False
    if any(config.get(name, values[0]) not in values for name, values in _USUAL.items()):
        return False
    if config.get("hidden_act") not in _ACTIVATIONS or config.get("pad_token_id") is None:
        return False
    missing = _Sizes.__dataclass_fields__.keys() - config.keys()
    return not missing and config["hidden_size"] % config["num_attention_heads"] == 0


def bert_from_config(config: Mapping[str, Any]) -> "BertEncoder":
    """Return an encoder with fresh weights.

    Args:
        config: for which ``is_plain_bert`` is true.
    """
    sizes = _Sizes(**{name: config[name] for name in _Sizes.__dataclass_fields__})
    return BertEncoder(sizes, config["model_type"] in _OFFSET)


class BertEncoder(nn.Module):
    """The encoder of BERT (Devlin et al., 2019), or of RoBERTa.

    Args:
        sizes: of the network.
        offset: whether positions are numbered as in RoBERTa.
    """

    def __init__(self, sizes: _Sizes, offset: bool) -> None:
        super().__init__()
        self.embeddings = _Embeddings(sizes, offset)
        self.encoder = _Layers(sizes)
        self.pooler = _Pooler(sizes)  # not used, but a part of the weights and of their hash

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        """Return the last layer.

        Args:
            input_ids: (n, length) int64.
            attention_mask: (n, length), 0 at padding.

        Returns:
            An object whose ``last_hidden_state`` is (n, length, hidden_size).
        """
        mask = None if bool(attention_mask.all()) else attention_mask[:, None, None, :] != 0
        hidden = self.encoder(self.embeddings(input_ids), mask)
        return SimpleNamespace(last_hidden_state=hidden)


class _Embeddings(nn.Module):
    def __init__(self, sizes: _Sizes, offset: bool) -> None:
        super().__init__()
        width = sizes.hidden_size
        padding = sizes.pad_token_id
        self.word_embeddings = nn.Embedding(sizes.vocab_size, width, padding_idx=padding)
        self.position_embeddings = nn.Embedding(
            sizes.max_position_embeddings, width, padding_idx=padding if offset else None
        )
        self.token_type_embeddings = nn.Embedding(sizes.type_vocab_size, width)
        self.LayerNorm = nn.LayerNorm(width, eps=sizes.layer_norm_eps)
        self.dropout = nn.Dropout(sizes.hidden_dropout_prob)
        self._padding = padding if offset else None

    def forward(self, tokens: Tensor) -> Tensor:
        if self._padding is None:
            places = torch.arange(tokens.shape[1], device=tokens.device)[None]
        else:
            present = tokens != self._padding
            places = present.cumsum(1) * present + self._padding
        types = self.token_type_embeddings.weight[0]  # every text is one sentence
        hidden = self.word_embeddings(tokens) + types + self.position_embeddings(places)
        return self.dropout(self.LayerNorm(hidden))  # type: ignore[no-any-return]


class _Layers(nn.Module):
    def __init__(self, sizes: _Sizes) -> None:
        super().__init__()
        self.layer = nn.ModuleList(_Layer(sizes) for _ in range(sizes.num_hidden_layers))

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        for layer in self.layer:
            hidden = layer(hidden, mask)
        return hidden


class _Layer(nn.Module):
    def __init__(self, sizes: _Sizes) -> None:
        super().__init__()
        self.attention = _Attention(sizes)
        self.intermediate = _Intermediate(sizes)
        self.output = _Output(sizes, sizes.intermediate_size)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        attended = self.attention(hidden, mask)
        return self.output(self.intermediate(attended), attended)  # type: ignore[no-any-return]


class _Attention(nn.Module):
    def __init__(self, sizes: _Sizes) -> None:
        super().__init__()
        self.self = _SelfAttention(sizes)
        self.output = _Output(sizes, sizes.hidden_size)

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        return self.output(self.self(hidden, mask), hidden)  # type: ignore[no-any-return]


class _SelfAttention(nn.Module):
    def __init__(self, sizes: _Sizes) -> None:
        super().__init__()
        width = sizes.hidden_size
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self._heads = sizes.num_attention_heads
        self._dropout = sizes.attention_probs_dropout_prob

    def forward(self, hidden: Tensor, mask: Tensor | None) -> Tensor:
        query, key, value = (
            layer(hidden).unflatten(-1, (self._heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        dropout = self._dropout if self.training else 0.0
        mixed = scaled_dot_product_attention(query, key, value, mask, dropout)
        return mixed.transpose(1, 2).flatten(2)


class _Intermediate(nn.Module):
    def __init__(self, sizes: _Sizes) -> None:
        super().__init__()
        self.dense = nn.Linear(sizes.hidden_size, sizes.intermediate_size)
        self.activation = _ACTIVATIONS[sizes.hidden_act]()

    def forward(self, hidden: Tensor) -> Tensor:
        return self.activation(self.dense(hidden))  # type: ignore[no-any-return]


class _Output(nn.Module):
    """A linear layer, then the sum with what entered the block, normalized."""

    def __init__(self, sizes: _Sizes, source: int) -> None:
        super().__init__()
        self.dense = nn.Linear(source, sizes.hidden_size)
        self.LayerNorm = nn.LayerNorm(sizes.hidden_size, eps=sizes.layer_norm_eps)
        self.dropout = nn.Dropout(sizes.hidden_dropout_prob)

    def forward(self, hidden: Tensor, entered: Tensor) -> Tensor:
        return self.LayerNorm(self.dropout(self.dense(hidden)) + entered)  # type: ignore[no-any-return]


class _Pooler(nn.Module):
    def __init__(self, sizes: _Sizes) -> None:
        super().__init__()
        self.dense = nn.Linear(sizes.hidden_size, sizes.hidden_size)
