# %% [markdown]
# # A table for a paper
#
# Methods are compared under equal conditions: the same features and splits, the same tuning budget,
# several seeds, and significance tests. The features here are generated; replace them by
# `cs.load_dataset("features.npz")` or `cs.load_dataset("wikipedia:FOLDER")`.

# %%
"""Compare methods under equal conditions and write the table."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import commonspace as cs
from commonspace.comparison import TuningBudget

rng = np.random.default_rng(0)
y = rng.integers(0, 5, size=300)
image = rng.normal(size=(5, 24))[y] + 2.5 * rng.normal(size=(300, 24))
text = rng.normal(size=(5, 12))[y] + 1.5 * rng.normal(size=(300, 12))
data = cs.Dataset.from_arrays(image=image, text=text, labels=y)
print(data)

# %% [markdown]
# ## Compare
#
# Each method gets `trials` settings on the validation split, then one run per seed with the best of
# them. The test split is measured once per run. Methods in closed form have their own small grid
# and no seed.

# %%
folder = TemporaryDirectory()
table = cs.compare(
    data,
    ["cca", "sm-probability", "dscmr", "posterior"],
    seeds=2,
    baseline="dscmr",
    budget=TuningBudget(trials=2, epochs=5, patience=3),
    folder=Path(folder.name) / "table",
)
print(table)

# %% [markdown]
# The interval is a 95 % bootstrap interval over seeds and samples. A star marks a difference from
# the baseline that is significant (p < 0.05) in three tests, corrected for the number of methods.
# Two seeds give an interval that is too narrow, and tests over seeds find large differences only;
# use ten for a paper.

# %%
posterior = table["posterior"]
print(posterior.average, posterior.difference)

# %% [markdown]
# ## Write it
#
# The folder has the table in four formats. The same call continues after an interruption.

# %%
print(sorted(path.name for path in (Path(folder.name) / "table").glob("table.*")))
print((Path(folder.name) / "table" / "table.tex").read_text())

# %% [markdown]
# On the command line, with ablations of DSCMR:
#
#     commonspace compare features.npz --methods dscmr,dscmr-no-j2,posterior --seeds 10 --out table
#
# [Comparison](../comparison.md) describes every rule.

# %%
folder.cleanup()
