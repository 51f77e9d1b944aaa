"""The space of an open index with its encoders, loaded when it is first needed."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from commonspace.encoders import names_code
from commonspace.errors import StoreError
from commonspace.retrieval.embedder import Embedder
from commonspace.retrieval.folder import load_space
from commonspace.retrieval.store import Store

__all__ = ["IndexSpace"]


class IndexSpace:
    """The space that the vectors of an index belong to, which ``migrate`` may change.

    Args:
        path: folder of the index.
        store: its store.
        number: returns the number of the space of the vectors.
        encoders: encoders to use in place of those that the store names.
        device: device of the space.
    """

    def __init__(
        self,
        path: Path,
        store: Store,
        number: Callable[[], int],
        encoders: Mapping[str, str],
        device: str,
    ) -> None:
        self._path, self._store, self._number = path, store, number
        self._encoders, self._device = dict(encoders), device
        self._embedders: dict[int, Embedder] = {}
        self._loading = threading.Lock()

    @property
    def encoders(self) -> dict[str, str]:
        """Modality -> name of the encoder of its features."""
        stored: dict[str, str] = json.loads(self._store.meta("encoders") or "{}")
        harmless = {name: spec for name, spec in stored.items() if not names_code(spec)}
        return harmless | self._encoders  # a class in a Python file must be named by the caller

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the space."""
        return self._store.describe_space(self._store.space)[0]

    def use(self, embedder: Embedder) -> None:
        """Use a space that is loaded already.

        Args:
            embedder: the space of the store, with its encoders.
        """
        self._embedders = {self._store.space: embedder}

    def embedder(self) -> tuple[int, Embedder]:
        """Return the number of the current space, and the space with its encoders.

        Raises:
            StoreError: If the copy in the folder is missing, damaged, or another space.
        """
        with self._loading:
            while True:
                number = self._number()
                if number in self._embedders:
                    return number, self._embedders[number]
                try:
                    space = load_space(self._path, number, self.fingerprint, self._device)
                except StoreError:
                    if self._store.space == number:
                        raise
                    continue  # another process has just moved the index to another space
                self._embedders = {number: Embedder(space, self.encoders)}
