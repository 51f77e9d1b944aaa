# %% [markdown]
# # Search in a catalogue
#
# From photos with captions to a search index: train a space, search in memory, then build an index
# that can be filtered, updated and moved to a better model. The data is the built-in set `scenes`;
# replace its name by a folder with `metadata.jsonl` for your own photos.

# %%
"""Train a space, search in memory, build, filter and update an index."""

from pathlib import Path
from tempfile import TemporaryDirectory

import commonspace as cs

data = cs.load_dataset("scenes")
print(data)

# %% [markdown]
# ## Train
#
# DSCMR with its default networks reads raw pixels and words. `fit` uses the train split and chooses
# the best epoch on the validation split.

# %%
space = cs.DSCMR(epochs=10, seed=0).fit(data)
print(space)

# %% [markdown]
# ## Evaluate
#
# Every test sample is a query once in each direction. `chance` is the mAP of a random ranking.

# %%
report = space.evaluate(data)
print(report)

# %% [markdown]
# ## Search in memory
#
# Good for a notebook and up to some ten thousand items.

# %%
test = data.split("test")
hits = space.search(test, text="a sailing boat", k=5)
hits.show()

# %% [markdown]
# The same with a photo, here one of the test set. `id` leaves the sample itself out; `modality`
# restricts the results.

# %%
hits = space.search(test, id=test.ids[0], query_modality="image", modality="text", k=5)
hits.show()

# %% [markdown]
# ## Build an index
#
# An index is a folder. Writes are durable, several processes can read it, and it contains a copy of
# the space.

# %%
folder = TemporaryDirectory()
shop = Path(folder.name) / "shop"
with cs.Index.create(shop, space, test) as index:
    for item in index.search(text="a kite above a small house", k=3):
        print(f"{item.score:.3f}  {item.id}  {item.labels}")

# %% [markdown]
# Filters are conditions on id, label, split and every metadata column. `min_relevance` drops
# results that are probably not relevant: scores are calibrated to the probability that query and
# item share a class.

# %%
with cs.Index.open(shop) as index:
    filtered = index.search(text="a kite above a small house", k=3, where='label = "kite"')
    probable = index.search(text="a kite above a small house", k=50, min_relevance=0.5)
print([item.labels for item in filtered])
print(f"{len(probable)} items are relevant with a probability of at least 0.5")

# %% [markdown]
# ## Update it
#
# `update` inserts new items, replaces changed ones and skips unchanged ones; `remove` deletes by
# id.

# %%
with cs.Index.open(shop) as index:
    index.remove([test.ids[0]])
    index.update(data.split("validation"))
    index.update(test)

# %% [markdown]
# ## Serve it
#
#     commonspace serve shop
#
# starts a web page and an HTTP API at <http://127.0.0.1:8000>. [Deployment](../guides/deploy.md)
# describes keys, Docker and proxies.

# %%
folder.cleanup()
