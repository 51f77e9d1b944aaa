"""Texts that name the classes help posterior matching where they say something, else not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import commonspace as cs
from commonspace.data import Dataset, Features
from commonspace.encoders import Vectors
from commonspace.methods import EncoderConfig, PosteriorMatching
from commonspace.methods.base.zero_shot import choose_pools, with_class_vectors
from commonspace.networks import PosteriorNetwork, ZeroShotPosteriorNetwork
from commonspace.training.samples import Samples
from commonspace.training.validation import ValidationScore

QUIET = cs.RunConfig()
SMALL = PosteriorMatching(hidden_dim=16, embedding_dim=4, epochs=3)
CLASSES, SIZE = 6, 12


def named() -> tuple[Dataset, torch.Tensor]:
    """Return 3 training samples a class around its vector, which names it, and the vectors."""
    draw = np.random.default_rng(4)
    vectors = draw.normal(size=(CLASSES, SIZE))
    kinds = np.arange(CLASSES * 33) % CLASSES
    x, y = (vectors[kinds] + 1.2 * draw.normal(size=(len(kinds), SIZE)) for _ in range(2))
    splits = np.repeat(["train", "validation", "test"], [3 * CLASSES, 10 * CLASSES, 20 * CLASSES])
    data = Dataset(
        "named",
        tuple(map(str, range(len(kinds)))),
        {"image": Features(x), "text": Features(y)},
        np.eye(CLASSES, dtype=bool)[kinds],
        tuple("abcdef"),
        splits,
    )
    return data, torch.from_numpy(vectors).float()


@pytest.fixture(scope="module")
def fitted() -> tuple[cs.CommonSpace, Samples]:
    data, _ = named()
    space = SMALL.fit(data, run=QUIET)
    inputs = {name: Vectors(SIZE) for name in data.columns}
    return space, Samples(data.split("validation"), inputs, torch.device("cpu"))


def network_of(fitted: tuple[cs.CommonSpace, Samples]) -> PosteriorNetwork:
    network = fitted[0].network
    assert isinstance(network, PosteriorNetwork)
    return network


def test_names_that_fit_raise_the_map_on_test(fitted: tuple[cs.CommonSpace, Samples]) -> None:
    data, vectors = named()
    network = with_class_vectors(network_of(fitted), 3 * vectors, fitted[1])
    assert isinstance(network, ZeroShotPosteriorNetwork)
    space = fitted[0]
    better = cs.CommonSpace(network, space.inputs, space.class_names, space.provenance)
    before, after = (each.evaluate(data, split="test").map for each in (space, better))
    assert after > before + 0.02


def test_names_that_say_nothing_change_nothing(fitted: tuple[cs.CommonSpace, Samples]) -> None:
    network, validation = network_of(fitted), fitted[1]
    nothing, wrong = torch.zeros(CLASSES, SIZE), torch.roll(named()[1], 1, dims=0)
    assert choose_pools(network, nothing, validation)["image"] == (1.0, 0.0)
    for vectors in (nothing, wrong):
        assert with_class_vectors(network, vectors, validation) is network


def test_validation_is_never_worse(fitted: tuple[cs.CommonSpace, Samples]) -> None:
    network, validation = network_of(fitted), fitted[1]
    score = ValidationScore(validation)
    for seed in range(5):
        draw = np.random.default_rng(seed)
        vectors = torch.from_numpy(draw.normal(size=(CLASSES, SIZE))).float()
        assert score(with_class_vectors(network, vectors, validation)) >= score(network)


def test_encoders_of_one_space_are_asked_for_the_names(
    raw_dataset: Dataset, clip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from commonspace.methods.base import zero_shot

    asked = []
    true = zero_shot.class_name_vectors

    def class_name_vectors(*given: object) -> torch.Tensor:
        asked.append(given[1])
        return true(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(zero_shot, "class_name_vectors", class_name_vectors)
    specs = {"image": f"hf:{clip}", "text": f"hf:{clip}"}
    method = replace(SMALL, encoders=EncoderConfig(specs, input_form="crop"))
    space = method.fit(raw_dataset, run=QUIET)
    assert asked == [("red", "green", "blue")]
    without = replace(method, zero_shot=False).fit(raw_dataset, run=QUIET)
    assert len(asked) == 1
    maps = [each.evaluate(raw_dataset, split="validation").map for each in (space, without)]
    assert maps[0] >= maps[1] - 1e-6
    used = "zero_shot" in space.provenance["posteriors"]
    assert used == isinstance(space.network, ZeroShotPosteriorNetwork)
    space.save(tmp_path / "run")
    cs.load(tmp_path / "run").evaluate(raw_dataset, split="test")
    other = EncoderConfig({"image": f"hf:{clip}", "text": "tfidf"}, input_form="crop")
    replace(method, encoders=other).fit(raw_dataset, run=QUIET)
    assert len(asked) == 1
