"""Feature cache: features by the content of their items and the hash of their encoder.

It has a folder for each encoder, with files of some hundred features each, written atomically. All
commands and data sets share it, and any file may be deleted.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from commonspace.atomic import replace_file
from commonspace.errors import OutputError

__all__ = ["FeatureCache", "content_hash"]

KEY_BYTES = 32


def content_hash(item: Any) -> bytes:  # noqa: ANN401 - a path, an array or texts
    """Return the SHA-256 of the content of an item; the name of a file does not count."""
    digest = sha256()
    if isinstance(item, Path):
        digest.update(b"file")
        digest.update(item.read_bytes())
    elif isinstance(item, np.ndarray):
        digest.update(f"array {item.shape}".encode())
        digest.update(np.ascontiguousarray(item).data)
    else:
        for text in item:
            encoded = text.encode(errors="surrogatepass")
            digest.update(f"text {len(encoded)} ".encode() + encoded)
    return digest.digest()


class FeatureCache:
    """The features of one encoder.

    Args:
        folder: the cache folder of all encoders; None: no cache.
        encoder: the encoder's hash, in hexadecimal digits.
        size: the length of a feature vector.
    """

    def __init__(self, folder: Path | None, encoder: str, size: int) -> None:
        self._folder = None if folder is None else folder / encoder[:32]
        self._size = size

    def take(self, rows: Mapping[bytes, int], into: NDArray[np.float32]) -> set[bytes]:
        """Copy the features in the cache to their rows.

        Args:
            rows: key of an item -> row.
            into: (n, size) float32, written to.

        Returns:
            The keys that were in the cache. Damaged files are deleted.
        """
        taken: set[bytes] = set()
        for path in sorted(self._folder.glob("*.safetensors")) if self._folder else ():
            try:
                content = load_file(path)
                keys, features = content["keys"], content["features"]
                fits = keys.shape == (len(features), KEY_BYTES) and features.shape[1] == self._size
            except (SafetensorError, OSError, KeyError, IndexError):
                fits = False
            if not fits:
                with suppress(OSError):
                    path.unlink()
                continue
            for number, key in enumerate(map(bytes, keys)):
                if key in rows:
                    into[rows[key]] = features[number]
                    taken.add(key)
        return taken

    def put(self, keys: Sequence[bytes], features: NDArray[np.float32]) -> None:
        """Write some features.

        Args:
            keys: m keys of 32 bytes.
            features: (m, size) float32.

        Raises:
            OutputError: If they cannot be written.
        """
        if self._folder is None or not keys:
            return
        table = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), KEY_BYTES)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(
                f"the cache folder {self._folder} cannot be created",
                expected="a writable folder",
                found=exc.strerror or str(exc),
                advice="choose another folder for the cache, or none",
            ) from exc
        name = f"{sha256(table.tobytes()).hexdigest()[:16]}.safetensors"
        with replace_file(self._folder / name, overwrite=True) as draft:
            try:
                save_file({"keys": table, "features": np.ascontiguousarray(features)}, draft)
            except SafetensorError as exc:  # it hides the OSError of a full disk
                raise OSError(str(exc)) from exc
