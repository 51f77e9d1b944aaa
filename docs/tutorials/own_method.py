# %% [markdown]
# # A method of your own
#
# A loss in ten lines, tuned and compared like every built-in method, saved and searched.

# %%
"""Define a loss, fit, compare, save and load."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

import commonspace as cs
from commonspace.comparison import TuningBudget
from commonspace.methods import Between, SearchSpace

# %% [markdown]
# ## The loss
#
# `embeddings` maps each modality to an (n, d) tensor, `labels` is (n, c). The loss below pulls the
# items of a class to their common center, and pushes the centers apart up to a margin. Annotated
# fields are its settings; the base class makes it a frozen dataclass.

# %%


class CenterLoss(cs.GradientMethod):
    """Squared distance to the class center, and a hinge on the distance between centers."""

    search_space: ClassVar[SearchSpace] = {"margin": Between(0.2, 5.0)}

    margin: float = 2.0
    learning_rate: float = 5e-3

    def loss(self, embeddings: dict[str, Tensor], labels: Tensor) -> Tensor:
        """Return the loss of one batch."""
        y = labels.float()
        y = y[:, y.sum(0) > 0]  # classes of this batch
        points = torch.stack(list(embeddings.values()))
        centers = (y.T @ points).mean(0) / y.sum(0)[:, None]
        pull = (points - y @ centers).square().sum(-1).mean()
        push = (self.margin - torch.pdist(centers)).clamp(min=0).square().mean()
        return pull + push


# %% [markdown]
# ## Fit and evaluate
#
# Networks, batches, early stopping on validation, checkpoints and calibration are inherited.

# %%
rng = np.random.default_rng(0)
y = rng.integers(0, 4, size=240)
image = rng.normal(size=(4, 16))[y] + rng.normal(size=(240, 16))
text = rng.normal(size=(4, 8))[y] + rng.normal(size=(240, 8))
data = cs.Dataset.from_arrays(image=image, text=text, labels=y)

space = CenterLoss(epochs=15, hidden_dim=32, embedding_dim=16).fit(data)
print(space.evaluate(data))

# %% [markdown]
# ## Check it
#
# The contract that every built-in method is tested by, on synthetic data: shapes, seeds, no use of
# the test split, saving, resuming, wrong input. In a shell, `commonspace check-method
# mine.py:CenterLoss` prints the same table.

# %%
report = cs.check_method(CenterLoss(hidden_dim=32, embedding_dim=16))
print(report)
assert report.passed

# %% [markdown]
# ## Compare it
#
# An instance stands beside names. `search_space` names what is tuned.

# %%
table = cs.compare(
    data,
    ["cca", "infonce", CenterLoss(hidden_dim=32, embedding_dim=16)],
    seeds=2,
    budget=TuningBudget(trials=2, epochs=10, patience=5),
)
print(table)

# %% [markdown]
# ## Save and load
#
# The network is a standard one, so that loading needs nothing of this file.

# %%
with TemporaryDirectory() as folder:
    space.save(Path(folder) / "run")
    loaded = cs.load(Path(folder) / "run")
print(loaded.evaluate(data).map == space.evaluate(data).map)

# %% [markdown]
# `commonspace new-method center-loss` writes a file with such a class to start from. In a file
# `mine.py` the class works in every command:
#
#     commonspace train features.npz --method mine.py:CenterLoss --set margin=1.5 --out runs/mine
#     commonspace compare features.npz --methods mine.py:CenterLoss,dscmr --out tables/mine
