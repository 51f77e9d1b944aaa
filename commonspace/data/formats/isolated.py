"""Reading of HDF5 files in a process of its own.

The HDF5 library trusts the bytes of a file: a damaged one can crash it, make it loop, or fill the
memory. It therefore runs in a child process with limits of time and memory, which sends the arrays
through a pipe. A crash of the child becomes an error of the parent.
"""

import json
import os
import resource
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_in_process", "send_arrays"]

_HEAD = struct.Struct("<I")
_SECONDS, _BYTES_A_SECOND = 10, 5_000_000  # of processor time: a floor, and for large files
_MEMORY = 1 << 30  # of the child, beside the arrays
_PLAIN = "biufc"  # kinds of dtype that are sent as they lie in memory


def read_in_process(reader: str, path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays that a function finds in a file.

    Args:
        reader: "module:function", importable; (path, allow) -> name -> array. It calls ``allow``
            with the number of bytes that it is going to hold.
        path: the file.

    Raises:
        ValueError: the reader failed, crashed, or took too much time or memory.
        FileNotFoundError, PermissionError: the file cannot be opened.
    """
    with path.open("rb") as file:  # its own error, before a process is started
        size = os.fstat(file.fileno()).st_size
    root = str(Path(__file__).parents[3])
    known = os.environ.get("PYTHONPATH")
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment = os.environ | single | {"PYTHONPATH": f"{root}:{known}" if known else root}
    code = "from commonspace.data.formats.isolated import _main; _main()"
    seconds = _SECONDS + size // _BYTES_A_SECOND
    process = subprocess.Popen(
        [sys.executable, "-c", code, reader, str(path), str(seconds)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    assert process.stdout is not None
    timer = threading.Timer(4 * seconds, process.kill)
    timer.start()
    try:
        return dict(_received(process.stdout))
    except EOFError as exc:
        code_ = process.wait()
        reason = f"signal {-code_}" if code_ < 0 else f"exit code {code_}"
        raise ValueError(f"the library that reads it was stopped by {reason}") from exc
    finally:
        timer.cancel()
        process.kill()
        process.stdout.close()
        process.wait()


def send_arrays(arrays: Mapping[str, NDArray[Any]], stream: IO[bytes]) -> None:
    """Write named arrays to a pipe; arrays of another kind are sent as an empty object array."""
    for name, values in arrays.items():
        if values.dtype.kind in _PLAIN:
            _send(stream, {"name": name, "dtype": values.dtype.str, "shape": values.shape})
            stream.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
        elif values.dtype.kind in "SUO" and all(
            value is None or isinstance(value, str | bytes | int | float) for value in values.flat
        ):
            flat = [
                value.decode("utf-8") if isinstance(value, bytes) else value
                for value in values.reshape(-1).tolist()
            ]
            _send(stream, {"name": name, "values": flat, "shape": values.shape})
        else:
            _send(stream, {"name": name, "values": [None], "shape": []})
    _send(stream, {})


def _main() -> None:
    """Run in the child: argv is reader, path, seconds."""
    module, _, function = sys.argv[1].partition(":")
    path, seconds = Path(sys.argv[2]), int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    stream = sys.stdout.buffer
    import importlib

    read = getattr(importlib.import_module(module), function)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)

    def allow(count: int) -> None:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY + 3 * count, hard))

    allow(0)
    try:
        send_arrays(read(path, allow), stream)
    except Exception as exc:  # a damaged file makes the library raise nearly anything
        kind = "" if type(exc) is ValueError else f"{type(exc).__name__}: "
        _send(stream, {"error": f"{kind}{exc}"})
    stream.flush()
    os._exit(0)  # closing a damaged file can crash: it was read already


def _send(stream: IO[bytes], message: Mapping[str, Any]) -> None:
    content = json.dumps(message).encode()
    stream.write(_HEAD.pack(len(content)) + content)


def _received(stream: IO[bytes]) -> Iterator[tuple[str, NDArray[Any]]]:
    while True:
        (length,) = _HEAD.unpack(_exactly(stream, _HEAD.size))
        message = json.loads(_exactly(stream, length))
        if not message:
            return
        if "error" in message:
            raise ValueError(message["error"])
        if "dtype" in message:
            values: NDArray[Any] = np.empty(message["shape"], dtype=message["dtype"])
            flat = values.reshape(-1).view(np.uint8)
            flat[:] = np.frombuffer(_exactly(stream, flat.nbytes), np.uint8)
        else:
            entries = np.empty(len(message["values"]), dtype=object)
            entries[:] = message["values"]
            values = entries.reshape(message["shape"])
        yield message["name"], values


def _exactly(stream: IO[bytes], count: int) -> bytearray:
    content = bytearray(count)
    view, place = memoryview(content), 0
    while place < count:
        step = stream.readinto(view[place : place + (1 << 24)])  # type: ignore[attr-defined]
        if not step:
            raise EOFError
        place += step
    return content
