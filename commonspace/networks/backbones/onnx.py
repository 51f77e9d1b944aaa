"""Networks in ONNX files as backbones, run by onnxruntime."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from commonspace.errors import FileFormatError
from commonspace.extras import optional
from commonspace.networks.backbones.base import mean_of_views, standardize

__all__ = ["OnnxBackbone", "check_onnx"]

_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
"""Domains of operators that are part of ONNX itself."""


class OnnxBackbone(nn.Module):
    """An image network in ONNX. Its file is part of the weights; it cannot be fine-tuned.

    The first input of the network is (n, 3, h, w) float32. If its first output has positions,
    (n, d, h, w) or (n, positions, d), the features are their mean, or mean and maximum.

    Args:
        length: Size of the file in bytes.
        size: Length of a feature vector.
        mean: Mean of each channel in [0, 1].
        std: Standard deviation of each channel.
        pooling: "mean" or "mean+max".
        views: 1, or 2 to average the features of an image and its mirror image.
    """

    def __init__(
        self,
        length: int,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        pooling: str = "mean",
        views: int = 1,
    ) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("file", torch.zeros(length, dtype=torch.uint8))
        self._mean, self._std = mean, std
        self._pooling, self._views = pooling, views
        self._session: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a copy or another process: without the session."""
        return {**self.__dict__, "_session": None}

    def session(self) -> Any:  # noqa: ANN401 - onnxruntime has no types
        """Return the onnxruntime session, created at the first call.

        Raises:
            FileFormatError: If the file is not ONNX, has operators that are not part of ONNX, or
                has weights in other files.
            MissingExtraError: If onnxruntime is not installed.
        """
        if self._session is None:
            content = self.file.cpu().numpy().tobytes()  # type: ignore[operator]
            check_onnx(content)
            runtime = optional("onnxruntime", "a network in an ONNX file", extra="onnx")
            options = runtime.SessionOptions()
            options.intra_op_num_threads = torch.get_num_threads()
            options.log_severity_level = 4
            try:
                self._session = runtime.InferenceSession(
                    content, options, providers=["CPUExecutionProvider"]
                )
            except Exception as exc:  # its own exceptions derive from Exception
                raise _malformed(str(exc).strip().splitlines()[0][:300]) from exc
        return self._session

    def forward(self, images: Tensor) -> Tensor:
        """Return the features.

        Args:
            images: (n, 3, h, w) uint8 RGB in 0..255.

        Returns:
            (n, size) float32, on the device of the images.
        """
        return mean_of_views(self._embed, standardize(images, self._mean, self._std), self._views)

    def _embed(self, images: Tensor) -> Tensor:
        session = self.session()
        source = session.get_inputs()[0]
        batch = source.shape[0] if isinstance(source.shape[0], int) else len(images)
        outputs = [
            session.run(None, {source.name: part.numpy()})[0]
            for part in torch.split(images.cpu().contiguous(), max(batch, 1))
        ]
        values = torch.from_numpy(np.concatenate(outputs)).to(images.device)
        if values.ndim == 2:
            return values
        spots = values.flatten(2) if values.ndim == 4 else values.transpose(1, 2)
        mean = spots.mean(dim=2)
        return torch.cat([mean, spots.amax(dim=2)], 1) if self._pooling == "mean+max" else mean


def check_onnx(content: bytes) -> None:
    """Check that an ONNX file consists of operators of ONNX alone, and is complete in itself.

    Raises:
        FileFormatError: If it is not ONNX, has an operator of another domain, or names other files.
    """
    try:
        domains, external = set(), False
        for kind, value in _walk(memoryview(content), "model"):
            if kind == "domain":
                domains.add(bytes(value).decode())
            external = external or kind == "external"
    except (IndexError, ValueError, UnicodeDecodeError) as exc:
        raise _malformed("another format, or a damaged file") from exc
    foreign = sorted(domains - set(_DOMAINS))
    if foreign:
        raise FileFormatError(
            "the ONNX file has operators that are not part of ONNX",
            expected="operators of the domains ai.onnx and ai.onnx.ml",
            found=", ".join(foreign),
            advice="export the network without custom operators",
        )
    if external:
        raise FileFormatError(
            "the ONNX file has its weights in other files",
            expected="one file with all weights",
            found="external data",
            advice="export the network into one file",
        )


_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute", 7: "domain"},
    "attribute": {
        5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse",
    },
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}  # fmt: skip
"""Message of the ONNX format -> its fields that lead to operators and to weights in other files."""


def _walk(content: memoryview, kind: str) -> Iterator[tuple[str, memoryview]]:
    """Yield the domains and the references to other files in a message of protocol buffers."""
    position = 0

    def number() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = content[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError("too long a number")

    while position < len(content):
        key = number()
        field, wire = key >> 3, key & 7
        if wire == 0:
            value = number()
            if kind == "tensor" and field == 14 and value == 1:  # data_location: EXTERNAL
                yield "external", content[:0]
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        elif wire == 2:
            length = number()
            part = content[position : position + length]
            position += length
            if position > len(content):
                raise ValueError("cut short")
            child = _FIELDS[kind].get(field)
            if child in ("domain", "external"):
                yield child, part
            elif child:
                yield from _walk(part, child)
        else:
            raise ValueError("not a protocol buffer")


def _malformed(reason: str) -> FileFormatError:
    return FileFormatError(
        "the ONNX file cannot be read",
        expected="a network in the ONNX format",
        found=reason,
        advice="export the network again",
    )
