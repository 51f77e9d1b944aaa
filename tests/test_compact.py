"""Small codes: what comes back, how far from what went in, and how many bytes it took."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from commonspace.compact import BytePerNumber, Coder, HalfPrecision, ProductQuantiser
from commonspace.errors import DataError, SettingError


def posteriors(n: int, d: int, seed: int = 0) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    p = np.exp(3 * draw.normal(size=(n, d)))
    found: NDArray[np.float32] = (p / p.sum(axis=1, keepdims=True)).astype(np.float32)
    return found


def coders(vectors: NDArray[np.float32]) -> list[Coder]:
    d = vectors.shape[1]
    return [HalfPrecision(d), BytePerNumber.fit(vectors), ProductQuantiser.fit(vectors, d // 2)]


@settings(deadline=None, max_examples=20)
@given(n=st.integers(1, 40), d=st.integers(2, 9), seed=st.integers(0, 99))
def test_codes_take_the_bytes_they_say_and_encode_to_themselves(n: int, d: int, seed: int) -> None:
    """What was decoded is coded as before, save where rounding cannot tell two centres apart."""
    vectors = posteriors(n, d, seed)
    for coder in coders(vectors):
        codes = coder.encode(vectors)
        assert len(codes) == n
        assert codes.nbytes == n * coder.bytes_per_vector
        back = coder.decode(codes)
        assert back.dtype == np.float32
        assert back.shape == (n, d)
        np.testing.assert_allclose(coder.decode(coder.encode(back)), back, atol=1e-3)


def test_half_precision_keeps_eleven_bits() -> None:
    vectors = posteriors(50, 6)
    back = HalfPrecision(6).decode(HalfPrecision(6).encode(vectors))
    np.testing.assert_allclose(back, vectors, rtol=2**-11, atol=2**-24)


def test_a_byte_is_finer_near_zero() -> None:
    """Half a step in the root is at most sqrt(|x| s) / 127 and a little in x."""
    vectors = posteriors(200, 5) - np.float32(0.1)
    coder = BytePerNumber.fit(vectors)
    back = coder.decode(coder.encode(vectors))
    bound = np.sqrt(np.abs(vectors) * coder.scales) / 127 + coder.scales / 127**2 / 2
    assert (np.abs(back - vectors) <= bound).all()
    np.testing.assert_allclose(coder.decode(coder.encode(9 * vectors)).max(axis=0), coder.scales)


def test_few_vectors_are_their_own_centres() -> None:
    vectors = posteriors(100, 7)
    coder = ProductQuantiser.fit(vectors, 3)
    np.testing.assert_array_equal(coder.decode(coder.encode(vectors)), vectors)


def test_a_code_is_the_nearest_centre_of_its_part() -> None:
    vectors = posteriors(900, 5)
    coder = ProductQuantiser.fit(vectors, 2)
    parts = np.split(vectors, [3], axis=1)
    for column, part, centres in zip(coder.encode(vectors).T, parts, coder.centres, strict=True):
        distances = np.square(part[:, None] - centres[None]).sum(axis=2)
        chosen = distances[np.arange(len(part)), column]
        np.testing.assert_allclose(chosen, distances.min(axis=1), atol=1e-6)


def test_more_parts_lie_nearer() -> None:
    vectors = posteriors(3000, 8)
    errors = []
    for parts in (1, 2, 4, 8):
        coder = ProductQuantiser.fit(vectors, parts)
        errors.append(float(np.square(coder.decode(coder.encode(vectors)) - vectors).sum()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3 * float(np.square(vectors - vectors.mean(axis=0)).sum())


def test_what_cannot_be_coded_is_refused() -> None:
    vectors = posteriors(5, 4)
    for parts in (0, 5):
        with pytest.raises(SettingError, match="as many parts"):
            ProductQuantiser.fit(vectors, parts)
    for wrong in (vectors[:0], vectors[0]):
        with pytest.raises(DataError, match="cannot be fitted"):
            BytePerNumber.fit(wrong)
    for coder in coders(vectors):
        with pytest.raises(DataError, match="size of the code"):
            coder.encode(vectors[:, :3])
