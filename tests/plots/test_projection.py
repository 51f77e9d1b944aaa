"""t-SNE is reproducible and reports its progress; samples keep the shares of the classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.errors import DataError
from commonspace.plots import fit_tsne, stratified_sample, tsne


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


def test_progress_is_reported_to_the_end_and_nothing_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    x, _ = groups()
    shares: list[float] = []
    place = tsne(x, 0, shares.append)
    assert shares[-1] == 1
    assert len(shares) > 10
    assert shares == sorted(shares)
    np.testing.assert_array_equal(place, tsne(x, 0))  # the callback changes nothing
    assert capsys.readouterr().out == ""


def test_further_vectors_are_placed_among_their_neighbors() -> None:
    x, classes = groups(90)
    fitted = fit_tsne(x[:60])
    before = fitted.points
    placed = fitted.place(x[60:])
    np.testing.assert_array_equal(fitted.points, before)
    distance = np.linalg.norm(placed[:, None] - before, axis=-1)
    assert (classes[:60][distance.argmin(axis=1)] == classes[60:]).mean() > 0.9
    np.testing.assert_array_equal(fit_tsne(x[:60]).place(x[60:]), placed)
    assert fitted.place(np.empty((0, 5))).shape == (0, 2)
    with pytest.raises(DataError, match="cannot place these vectors"):
        fitted.place([[np.nan] * 5])


@pytest.mark.parametrize("x", [np.zeros((6, 3)), np.ones((7, 1)), np.arange(5.0)[:, None]])
def test_equal_or_one_dimensional_vectors_get_finite_positions(x: NDArray[np.float64]) -> None:
    assert np.isfinite(tsne(x)).all()


@pytest.mark.parametrize("x", [np.zeros((4, 3)), np.zeros(9), np.full((9, 2), np.nan)])
def test_invalid_vectors_are_refused(x: NDArray[np.float64]) -> None:
    with pytest.raises(DataError, match="cannot place these vectors"):
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
