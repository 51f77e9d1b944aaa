"""Instance weight ranks, relevance does not follow it: it is that of instance_weight 0."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn, tensor

from commonspace import CommonSpace, Dataset, Features
from commonspace.calibration import Calibration
from commonspace.encoders import Vectors
from commonspace.errors import StoreError
from commonspace.networks.network import use_networks
from commonspace.retrieval import Index
from commonspace.space import load


class Blocks(nn.Module):
    """Features unchanged: the first two coordinates are kind, the other two are identity."""

    modalities = ("image",)
    dimension = 4
    has_instance_block = True

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(tensor(0.0))

    def embed(self, modality: str, inputs: Tensor) -> Tensor:
        return inputs

    def as_queries(self, vectors: Tensor, instance_weight: float) -> Tensor:
        return vectors * tensor([1 - instance_weight] * 2 + [instance_weight] * 2)

    def to_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Blocks":
        return cls()


@pytest.fixture
def space() -> CommonSpace:
    calibration = Calibration((-1.0, 1.0), (0.0, 1.0))
    return CommonSpace(Blocks(), {"image": Vectors(4)}, ("a",), {}, calibration)


def test_relevance_is_that_of_instance_weight_0(space: CommonSpace, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).uniform(-0.5, 0.5, (30, 4)).astype(np.float32)
    data = Dataset(
        name="blocks",
        ids=tuple(map(str, range(30))),
        columns={"image": Features(rows)},
        labels=np.ones((30, 1), dtype=bool),
        class_names=("a",),
        splits=np.full(30, "train"),
    )
    query = np.array([1.0, 0.5, -0.7, 0.2], dtype=np.float32)
    kind, identity = rows[:, :2] @ query[:2], rows[:, 2:] @ query[2:]
    with Index.create(tmp_path / "index", space, data) as index:
        for instance_weight, scores in (
            (None, kind + identity),
            (0.0, kind),
            (1.0, identity),
            (0.25, 0.75 * kind + 0.25 * identity),
        ):
            found = index.search(vector=query, k=30, instance_weight=instance_weight)
            assert [int(one.id) for one in found] == np.argsort(-scores).tolist()
            assert [one.score for one in found] == pytest.approx(np.sort(scores)[::-1], abs=1e-6)
            expected = space.relevance(kind[[int(one.id) for one in found]])
            assert [one.relevance for one in found] == pytest.approx(expected, abs=1e-6)
        likely = index.search(vector=query, k=30, instance_weight=1.0, min_relevance=0.5)
        best = [int(one) for one in np.argsort(-identity) if space.relevance(kind[one]) >= 0.5]
        assert [int(one.id) for one in likely] == best


@pytest.mark.parametrize(
    ("stored", "weight"), [(0.25, 0.25), (0, 0.0), (1.5, None), ("0.25", None), (None, None)]
)
def test_a_search_without_a_weight_uses_the_default_of_the_space(
    space: CommonSpace, tmp_path: Path, stored: object, weight: float | None
) -> None:
    """It is read from the copy in the index; an invalid one is ignored."""
    space.provenance["chosen"] = {"instance_weight": stored}
    assert space.default_instance_weight == weight
    rows = np.random.default_rng(0).uniform(-0.5, 0.5, (30, 4)).astype(np.float32)
    data = Dataset(
        name="blocks",
        ids=tuple(map(str, range(30))),
        columns={"image": Features(rows)},
        labels=np.ones((30, 1), dtype=bool),
        class_names=("a",),
        splits=np.full(30, "train"),
    )
    Index.create(tmp_path / "index", space, data).close()
    query = np.array([1.0, 0.5, -0.7, 0.2], dtype=np.float32)
    factors = np.ones(4) if weight is None else np.array([1 - weight] * 2 + [weight] * 2)
    scores = rows @ (factors * query)
    with use_networks({"Blocks": Blocks}), Index.open(tmp_path / "index") as index:
        results = index.search(vector=query, k=30)
        assert [int(one.id) for one in results] == np.argsort(-scores).tolist()
        in_memory = space.search(data, vector=query, k=30)
        assert [one.id for one in in_memory] == [one.id for one in results]


def test_an_index_of_a_user_defined_network_is_opened_with_its_class(
    space: CommonSpace, tmp_path: Path
) -> None:
    data = Dataset(
        name="blocks",
        ids=("a", "b"),
        columns={"image": Features(np.eye(4, dtype=np.float32)[:2])},
        labels=np.ones((2, 1), dtype=bool),
        class_names=("a",),
        splits=np.full(2, "train"),
    )
    Index.create(tmp_path / "index", space, data).close()
    space.save(tmp_path / "run")
    loaded = load(tmp_path / "run", networks={"Blocks": Blocks})
    with Index.open(tmp_path / "index", space=loaded) as index:
        assert index.search(vector=[0, 1, 0, 0], k=1)[0].id == "b"
    with Index.open(tmp_path / "index") as index, pytest.raises(StoreError, match="space") as error:
        index.search(vector=[0, 1, 0, 0], k=1)
    assert "user-defined" in str(error.value)
