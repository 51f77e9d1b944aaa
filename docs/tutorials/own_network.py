# %% [markdown]
# # A network of your own
#
# Any `torch.nn.Module` becomes a model of Commonspace if it has `modalities`, `dimension` and
# `embed`. With `to_config` and `from_config` it can also be saved, loaded, indexed and served.
# Here a two-tower network is trained with two losses of Commonspace in a plain PyTorch loop.

# %%
"""Train, evaluate, save, load and search a user-defined network."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import commonspace as cs
from commonspace.encoders import Vectors


class TwoTowers(nn.Module):
    """A linear layer for each modality, a shared classifier, unit-length embeddings."""

    def __init__(self, sizes: Mapping[str, int], classes: int, dimension: int = 16) -> None:
        super().__init__()
        self.sizes, self.classes, self.dimension = dict(sizes), classes, dimension
        self.towers = nn.ModuleDict({name: nn.Linear(d, dimension) for name, d in sizes.items()})
        self.classifier = nn.Linear(dimension, classes)

    @property
    def modalities(self) -> tuple[str, ...]:
        """The modalities that it embeds."""
        return tuple(self.sizes)

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        """Return (n, dimension) embeddings."""
        return nn.functional.normalize(self.towers[modality](inputs))

    def to_config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {"sizes": self.sizes, "classes": self.classes, "dimension": self.dimension}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TwoTowers":
        """Build the network from its settings."""
        return cls(**config)


# %% [markdown]
# ## Data
#
# Features of images and texts of four classes. Your own arrays come from any extractor.


# %%
def make_data() -> cs.Dataset:
    """Return 400 samples of 4 classes, with noise."""
    generator = np.random.default_rng(0)
    labels = np.arange(400) % 4
    columns = {
        name: cs.Features(
            generator.normal(size=(4, size))[labels] + generator.normal(size=(400, size))
        )
        for name, size in (("image", 32), ("text", 24))
    }
    return cs.Dataset(
        name="four classes",
        ids=tuple(f"item {row}" for row in range(400)),
        columns=columns,
        labels=np.eye(4, dtype=bool)[labels],
        class_names=("bird", "boat", "bus", "barn"),
        splits=np.repeat(["train", "validation", "test"], [240, 80, 80]),
    )


# %% [markdown]
# ## Training
#
# The losses are functions of tensors: `first` and `second` are embeddings of the same samples,
# `labels` are (n, c), 1 where a sample has a class.


# %%
def train(data: cs.Dataset, epochs: int = 30) -> TwoTowers:
    """Return a network trained on the train split."""
    torch.manual_seed(0)
    part = data.split("train")
    inputs = {
        name: Vectors(column.size)(column)
        for name, column in part.columns.items()
        if isinstance(column, cs.Features)
    }
    labels = torch.from_numpy(part.labels).float()
    network = TwoTowers({name: x.shape[1] for name, x in inputs.items()}, len(part.class_names))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(part)), 60):
            u, v = (network.embed(name, x[batch]) for name, x in inputs.items())
            loss = cs.info_nce_loss(u, v, temperature=0.5)
            for embeddings in (u, v):
                predictions = network.classifier(embeddings)
                loss = loss + cs.label_space_loss(predictions, labels[batch], norm="rows")
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return network


# %% [markdown]
# ## Evaluate, save, load, search
#
# `CommonSpace` joins the network with the inputs of its modalities. A saved model names the class
# of its network, and `load` takes the class from you: it never imports code that a file names.


# %%
def main() -> float:
    """Run the tutorial, and return the mAP on the test split."""
    data = make_data()
    network = train(data)
    inputs = {name: Vectors(size) for name, size in network.sizes.items()}
    space = cs.CommonSpace(network, inputs, data.class_names)
    report = space.evaluate(data, k=10)
    print(report)
    print(space.search(data, id="item 321", modality="text", k=3))
    with TemporaryDirectory() as folder:
        space.save(Path(folder) / "towers")
        loaded = cs.load(Path(folder) / "towers", networks={"TwoTowers": TwoTowers})
        assert loaded.fingerprint == space.fingerprint
        with cs.Index.create(Path(folder) / "shop", loaded, data) as index:
            print(index.search(id="item 321", k=3))
    return report.map


if __name__ == "__main__":
    main()
