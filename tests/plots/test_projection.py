"""t-SNE is the same each time and tells of its progress; samples keep the shares of the classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.errors import DataError
from commonspace.plots import stratified_sample, tsne


def groups(n: int = 60) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    draw = np.random.default_rng(0)
    classes = np.arange(n) % 3
    return 6 * np.eye(3, 5)[classes] + draw.normal(size=(n, 5)), classes


def test_the_same_seed_gives_the_same_places() -> None:
    x, _ = groups()
    first = tsne(x, seed=1)
    np.testing.assert_array_equal(tsne(x, seed=1), first)
    assert not np.array_equal(tsne(x, seed=2), first)


def test_groups_stay_groups() -> None:
    x, classes = groups()
    place = tsne(x)
    distance = np.linalg.norm(place[:, None] - place, axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (classes[distance.argmin(axis=1)] == classes).mean() > 0.95


def test_progress_comes_and_ends_whole_and_nothing_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    x, _ = groups()
    heard: list[float] = []
    place = tsne(x, 0, heard.append)
    assert heard[-1] == 1
    assert len(heard) > 10
    assert heard == sorted(heard)
    np.testing.assert_array_equal(place, tsne(x, 0))  # listening changes nothing
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("x", [np.zeros((6, 3)), np.ones((7, 1)), np.arange(5.0)[:, None]])
def test_what_is_all_alike_or_flat_gets_finite_places(x: NDArray[np.float64]) -> None:
    assert np.isfinite(tsne(x)).all()


@pytest.mark.parametrize("x", [np.zeros((4, 3)), np.zeros(9), np.full((9, 2), np.nan)])
def test_what_cannot_be_laid_out_is_refused(x: NDArray[np.float64]) -> None:
    with pytest.raises(DataError, match="cannot be laid out"):
        tsne(x)


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.integers(-1, 8), min_size=1, max_size=120),
    st.integers(1, 60),
    st.integers(0, 5),
)
def test_a_sample_keeps_the_shares(classes: list[int], most: int, seed: int) -> None:
    rows = stratified_sample(classes, most, np.random.default_rng(seed))
    given_, kept = np.array(classes), np.array(classes)[rows]
    assert len(rows) == len(set(rows.tolist())) == min(most, len(classes))
    assert (np.diff(rows) > 0).all()
    names = np.unique(given_)
    if most >= len(names):
        assert set(kept.tolist()) == set(names.tolist())  # none is forgotten
    if len(classes) > most:
        owed = np.array([(given_ == one).sum() * most / len(given_) for one in names])
        got = np.array([(kept == one).sum() for one in names])
        assert (got - owed).max() <= 1 + 1e-9  # no class gets more than its share, rounded up
    again = stratified_sample(classes, most, np.random.default_rng(seed))
    np.testing.assert_array_equal(again, rows)
