"""The closed form of the classifier against least squares."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.networks.closed_form import closed_form_classifier


def drawn(seed: int, n: int, d: int, c: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, d)), np.eye(c)[draw.integers(c, size=n)]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), n=st.integers(1, 12), d=st.integers(1, 12))
def test_it_is_the_least_squares_solution(seed: int, n: int, d: int) -> None:
    """With more samples than dimensions, and of least norm with fewer."""
    U, Y = drawn(seed, n, d, 3)
    expected = np.linalg.lstsq(U, Y, rcond=None)[0]
    found = closed_form_classifier([torch.from_numpy(U)], [torch.from_numpy(Y)])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-7, atol=1e-9)


def test_with_more_samples_than_dimensions_it_is_the_printed_formula() -> None:
    U, Y = drawn(0, 30, 4, 3)
    expected = np.linalg.inv(U.T @ U) @ U.T @ Y
    found = closed_form_classifier([torch.from_numpy(U)], [torch.from_numpy(Y)])
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("sizes", [(30, 20), (3, 30), (2, 3)])
def test_modalities_add_up_and_may_hold_different_samples(sizes: tuple[int, int]) -> None:
    (U, Y), (V, Z) = drawn(1, sizes[0], 5, 3), drawn(2, sizes[1], 5, 3)
    expected = np.linalg.lstsq(U, Y, rcond=None)[0] + np.linalg.lstsq(V, Z, rcond=None)[0]
    found = closed_form_classifier(
        [torch.from_numpy(U), torch.from_numpy(V)], [torch.from_numpy(Y), torch.from_numpy(Z)]
    )
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-8, atol=1e-10)


def test_it_is_a_constant_to_the_gradient_in_the_type_of_the_representations() -> None:
    U, Y = drawn(3, 6, 4, 2)
    single = torch.from_numpy(U).float().requires_grad_()
    found = closed_form_classifier([single], [torch.from_numpy(Y).float()])
    assert not found.requires_grad
    assert found.dtype == torch.float32
    expected = np.linalg.lstsq(U, Y, rcond=None)[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_representations_of_zeros_have_a_classifier_of_zeros() -> None:
    """A dead shared layer must not stop a training with an error about a singular matrix."""
    found = closed_form_classifier([torch.zeros(4, 3)], [torch.eye(4)])
    assert torch.equal(found, torch.zeros(3, 4))
