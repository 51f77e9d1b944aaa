"""Keys of equal content."""

import numpy as np

from commonspace.data import Features, Images, Texts
from commonspace.data.content import content_keys


def test_equal_items_have_one_key() -> None:
    features = Features(np.array([[0.0, 1.0], [1.0, 0.0], [-0.0, 1.0]], dtype=np.float32))
    assert content_keys(features).tolist() == [0, 1, 0]
    assert content_keys(Texts((("a", "b"), ("b ", "a"), ("a",), ("A",)))).tolist() == [0, 0, 1, 2]


def test_equal_photos_have_one_key_and_missing_ones_their_own() -> None:
    red, blue = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
    assert content_keys(Images((red, None, blue, red.copy(), None))).tolist() == [0, 1, 2, 0, 3]
