"""The head of methods whose classes have fixed, orthogonal directions."""

from typing import Any

from commonspace.errors import SettingError

__all__ = ["orthonormal_head"]


def orthonormal_head(embedding_dim: int, classes: int) -> dict[str, Any]:
    """Return the description of a head with a fixed orthogonal direction for each class.

    Args:
        embedding_dim: d, the size of the space.
        classes: c, the number of classes.

    Raises:
        SettingError: If the space has fewer dimensions than there are classes.
    """
    if embedding_dim < classes:
        raise SettingError(
            f"`embedding_dim` must be >= {classes}, got {embedding_dim}",
            expected="at least the number of classes: each has its own orthogonal direction",
            advice="set a larger embedding_dim, or merge classes",
        )
    return {"kind": "orthonormal", "columns": classes}
