"""Deferred construction of a model: its weights are held under their names until it is used.

A search by words needs no image network. Within ``deferring()``, models whose construction imports
the transformers library are built when they are first used.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["DeferredModel", "deferring", "is_deferring"]

_deferring: ContextVar[bool] = ContextVar("deferring", default=False)

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@contextmanager
def deferring() -> Iterator[None]:
    """Defer the construction of models inside the block until they are used."""
    token = _deferring.set(True)
    try:
        yield
    finally:
        _deferring.reset(token)


def is_deferring() -> bool:
    """Return whether models are to be built when they are first used."""
    return _deferring.get()


class DeferredModel(nn.Module):
    """The weights of a model that is not built yet.

    ``load_state_dict``, ``state_dict`` and ``to`` work as those of the model, so that files and
    hashes are the same.

    Args:
        build: returns the model with fresh weights.
        complete: whether the weights are all that the model holds, so that it can be built without
            drawing fresh ones first.

    Example:
        >>> deferred = DeferredModel(lambda: nn.Linear(2, 1))
        >>> names = deferred.load_state_dict({"weight": torch.ones(1, 2), "bias": torch.zeros(1)})
        >>> sorted(deferred.state_dict()), deferred.model()(torch.tensor([[1.0, 2.0]])).item()
        (['bias', 'weight'], 3.0)
    """

    def __init__(self, build: Callable[[], nn.Module], *, complete: bool = False) -> None:
        super().__init__()
        self._build = build
        self._complete = complete

    def model(self) -> nn.Module:
        """Return the model, with these weights and in evaluation mode.

        Raises:
            RuntimeError: If the weights do not fit the model.
        """
        weights = self.state_dict()
        if not weights:
            return self._build()
        with torch.random.fork_rng(devices=[]), _WithoutInit() if self._complete else nullcontext():
            model = self._build()  # fresh weights are replaced
        model.load_state_dict(weights, assign=True)
        return model.eval()

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Tensor],
        prefix: str,
        *args: Any,  # noqa: ANN401 - as torch declares them
        **options: Any,  # noqa: ANN401
    ) -> None:
        for name, tensor in state_dict.items():
            if name.startswith(prefix):
                _place(self, name.removeprefix(prefix), tensor)
        super()._load_from_state_dict(state_dict, prefix, *args, **options)


class _WithoutInit(TorchFunctionMode):
    """Leaves out the functions of torch.nn.init."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 - as torch declares it
        if getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def _place(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Give a module room for a tensor of a name with dots, in modules of these names."""
    *path, last = name.split(".")
    for part in path:
        if part not in module._modules:
            module.add_module(part, nn.Module())
        module = module.get_submodule(part)
    empty = torch.empty_like(tensor)
    if tensor.is_floating_point() and last not in _STATISTICS:
        module.register_parameter(last, nn.Parameter(empty))
    else:
        module.register_buffer(last, empty)
