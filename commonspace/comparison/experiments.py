"""Experiments of a comparison: a named method, and which of its settings are tuned."""

import json
import pickle
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass, replace
from typing import Any

from commonspace.comparison.method_file import MethodFile, load_method
from commonspace.errors import SettingError
from commonspace.methods import Method
from commonspace.methods.base.hyperparameters import Between, OneOf
from commonspace.registry import METHODS, apply_settings, make_method, method_names
from commonspace.settings import unknown_setting

__all__ = [
    "ABLATIONS",
    "EXPERIMENTS",
    "Experiment",
    "TuningBudget",
    "describe",
    "make_experiments",
]

VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "dscmr-official": ("dscmr", {"preset": "official"}),
}
"""Name -> method and settings, of experiments that are tuned on their own."""

ABLATIONS: Mapping[str, Mapping[str, float]] = {
    "dscmr-no-j1": {"alpha": 0.0},
    "dscmr-no-j2": {"lam": 0.0},
    "dscmr-no-j3": {"eta": 0.0},
    "dscmr-j1-alone": {"lam": 0.0, "eta": 0.0},
}
"""Name -> the terms of DSCMR that are left out; other settings are those tuned for ``dscmr``."""

EXPERIMENTS = (*METHODS, *VARIANTS, *ABLATIONS)
"""Every experiment that has a name."""


IN_BUDGET: Mapping[str, str] = {"seed": "seeds", "epochs": "epochs", "patience": "patience"}
"""Setting -> option of the comparison that sets it."""


@dataclass(frozen=True)
class TuningBudget:
    """The tuning and training budget of every method in a comparison.

    Args:
        trials: number of hyperparameter settings tried on validation, including the defaults; 1
            uses the defaults.
        epochs: maximum number of epochs of each fit, for methods that train by epochs.
        patience: number of epochs without a better validation mAP after which a fit stops. A method
            whose own patience is None never stops early, and trains for its own number of epochs
            where that is smaller.
        full_trials: let trials that are behind an earlier one run to their end as well, see
            `commonspace.comparison.trial_stop`.

    Raises:
        SettingError: a number is below 1.
    """

    trials: int = 10
    epochs: int = 100
    patience: int = 20
    full_trials: bool = False

    def __post_init__(self) -> None:
        for name in ("trials", "epochs", "patience"):
            value = getattr(self, name)
            if value < 1:
                raise SettingError(
                    f"`{name}` must be >= 1, got {value}",
                    expected="at least 1",
                    found=str(value),
                    advice="leave it out to use the default",
                )


@dataclass(frozen=True)
class Experiment:
    """A method under a name.

    The class of the method may have an attribute ``search_space``: setting -> values to try. A
    setting that differs from its default is not tuned.

    Args:
        name: in the table, and of the folder of its runs.
        method: a dataclass with ``fit``, with the settings of an untuned run.
        tuned_as: name of the experiment whose tuned settings it uses, as an ablation does; it is
            not tuned on its own.
        file: the file of the class, if it is not in an installed package.
        fixed: settings that are not tuned although they may have their default.

    Raises:
        SettingError: the method is no dataclass with ``fit``, the name is no valid folder name, the
            search space names unknown settings, or a setting cannot be stored.
    """

    name: str
    method: Method
    tuned_as: str | None = None
    file: MethodFile | None = None
    fixed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.name or self.name.startswith(".") or set(self.name) & set('/\\:*?"<>|'):
            raise SettingError(
                f"{self.name!r} is no valid name of an experiment",
                expected="letters, digits, hyphens: it names a folder",
                found=repr(self.name),
                advice="choose another name",
            )
        method: object = self.method  # may come from a user's file
        if not is_dataclass(method) or not callable(getattr(method, "fit", None)):
            raise SettingError(
                f"{self.name} is no method",
                expected="an instance of a dataclass with fit(train, validation, run)",
                found=type(self.method).__name__,
                advice="see docs/comparison.md, A method of your own",
            )
        self._check_search_space()
        self._check_settings()

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the settings of the method."""
        return tuple(self._fields())

    @property
    def settled(self) -> set[str]:
        """The settings that are not tuned: those that differ from their default, or are fixed."""
        return {
            name
            for name, item in self._fields().items()
            if (default := _default(item)) is MISSING
            or _to_json(getattr(self.method, name)) != _to_json(default)
        } | self.fixed

    @property
    def search_space(self) -> dict[str, Between | OneOf]:
        """The settings to tune: those of the class that are not settled."""
        space: Mapping[str, Between | OneOf] = getattr(type(self.method), "search_space", {})
        fixed = self.settled
        return {name: values for name, values in space.items() if name not in fixed}

    @property
    def seeded(self) -> bool:
        """Whether the method has a seed, so that it is run for each seed."""
        return "seed" in self._fields()

    def configure(self, settings: Mapping[str, Any], seed: int, budget: TuningBudget) -> Method:
        """Return the method with tuned settings, a seed and the budget of the comparison.

        Args:
            settings: tuned settings; those that differ from their default stay as they are.
            seed: for a method that has one.
            budget: its epochs and patience, for a method that has such settings.
        """
        fixed = self.settled
        values = {name: value for name, value in settings.items() if name not in fixed}
        limits = {"seed": seed, **self._limits(budget)}
        values |= {name: value for name, value in limits.items() if name in self._fields()}
        method: Method = replace(self.method, **values)  # type: ignore[type-var]
        return method

    def _limits(self, budget: TuningBudget) -> dict[str, int | None]:
        """Return epochs and patience.

        A method that never stops early has a schedule that ends at its last epoch: more epochs
        would make it another method.
        """
        if getattr(self.method, "patience", 0) is not None:
            return {"epochs": budget.epochs, "patience": budget.patience}
        own = getattr(self.method, "epochs", None)
        return {"epochs": min(own or budget.epochs, budget.epochs), "patience": None}

    def _check_search_space(self) -> None:
        space: Mapping[str, object] = getattr(type(self.method), "search_space", {})
        for name, values in space.items():
            if name not in self._fields() or not isinstance(values, Between | OneOf):
                raise SettingError(
                    f"{self.name} has an invalid search space",
                    expected="search_space: name of a field -> Between(low, high) or OneOf(values)",
                    found=f"{name!r}: {values!r}",
                    advice=f"its fields are {', '.join(self._fields()) or 'none'}",
                )

    def _check_settings(self) -> None:
        """Refuse settings that do not identify a run, or cannot be sent to a process."""
        try:
            describe(self.method)
            pickle.dumps(self.method)
        except (TypeError, ValueError, AttributeError, pickle.PicklingError) as exc:
            raise SettingError(
                f"the settings of {self.name} cannot be stored with its runs",
                expected="numbers, strings, and containers of them",
                found=str(exc),
                advice="store the name of the choice, and make the object in fit",
            ) from exc

    def _fields(self) -> dict[str, Field[Any]]:
        return {item.name: item for item in fields(self.method)}  # type: ignore[arg-type]


def make_experiments(
    methods: Sequence[str | Method], settings: Mapping[str, Any] | None = None
) -> tuple[Experiment, ...]:
    """Return an experiment for each method, each once.

    Args:
        methods: names of ``EXPERIMENTS``, several separated by commas; "all" for all of them;
            ``FILE.py:Class`` for a class in a file; or instances of a method, which are called by
            the name of their class in lower case.
        settings: setting -> value, for every method that has it; or name of an experiment ->
            settings of this one. They are not tuned. What defines an experiment stays, such as
            lambda = 0 of an ablation.

    Raises:
        SettingError: a name, file or class does not exist, an instance is no method, or a setting
            is unknown, out of range, or part of the budget.
    """
    experiments: dict[str, Experiment] = {}
    for item in methods:
        names = [name.strip() for name in item.split(",")] if isinstance(item, str) else []
        for name in names:
            for one in EXPERIMENTS if name == "all" else [name] if name else []:
                experiments.setdefault(one, _make_experiment(one))
        if not isinstance(item, str):
            base = name = type(item).__name__.lower()
            number = 1
            while name in experiments:
                number += 1
                name = f"{base}-{number}"
            experiments[name] = Experiment(name, item)
    return _configure(tuple(experiments.values()), settings or {})


def describe(method: Method) -> dict[str, Any]:
    """Return class and settings of a method as JSON values: equal for methods that do the same.

    Raises:
        ValueError: a setting is an object without a stable representation.
    """
    kind = type(method)
    options = asdict(method)  # type: ignore[call-overload]
    plain: dict[str, Any] = _to_json(
        {"class": f"{kind.__module__}.{kind.__qualname__}", "options": options}
    )
    return plain


def _make_experiment(name: str) -> Experiment:
    if ".py:" in name:
        method, file = load_method(name)
        return Experiment(type(method).__name__.lower(), method, file=file)
    if name in method_names():
        return Experiment(name, make_method(name))
    if name in VARIANTS:
        base, settings = VARIANTS[name]
        return Experiment(name, make_method(base, **settings))
    if name in ABLATIONS:
        return Experiment(name, make_method("dscmr", **ABLATIONS[name]), tuned_as="dscmr")
    known = dict.fromkeys([*EXPERIMENTS, *method_names()])
    raise SettingError(
        f"unknown method {name!r}",
        expected=f"all, FILE.py:Class, or some of {', '.join(known)}",
        found=repr(name),
        advice="see docs/methods.md",
    )


def _configure(
    experiments: tuple[Experiment, ...], settings: Mapping[str, Any]
) -> tuple[Experiment, ...]:
    """Return the experiments with settings of all, and those of single ones by their names."""
    names = {one.name.replace("-", "_"): one.name for one in experiments}  # as on a command line
    own: dict[str, Mapping[str, Any]] = {}
    common: dict[str, Any] = {}
    for key, value in settings.items():
        name = names.get(key.replace("-", "_"))
        if name is not None and isinstance(value, Mapping):
            own[name] = value
        else:
            common[key] = value
    known = sorted({name for one in experiments for name in one.settings})
    for key, values in (("", common), *own.items()):
        for name in values:
            if name in IN_BUDGET:
                raise SettingError(
                    f"`{name}` is part of the budget, which is the same for every method",
                    expected=f"the number of {IN_BUDGET[name]} of the comparison",
                    found=f"{key}.{name}".strip("."),
                    advice=f"use --{IN_BUDGET[name]}, in Python `seeds` or `budget`",
                )
            if not key and name not in known:
                owner = experiments[0].name if len(experiments) == 1 else "the comparison"
                raise unknown_setting(owner, name, known)
    configured = []
    for one in experiments:
        shared = {
            key: value
            for key, value in common.items()
            if key in one.settings and key not in one.settled
        }
        base = own.get(one.tuned_as or "", {})
        values = {
            **shared,
            **{key: value for key, value in base.items() if key not in one.settled},
            **own.get(one.name, {}),
        }
        configured.append(
            replace(
                one,
                method=apply_settings(one.method, values, one.name),
                fixed=one.fixed | frozenset(values),
            )
        )
    return tuple(configured)


def _to_json(value: object) -> Any:  # noqa: ANN401 - JSON values
    return json.loads(json.dumps(value, default=_encode))


def _encode(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if hasattr(value, "tolist"):  # an array, whose repr leaves out the middle
        return value.tolist()
    text = repr(value)
    if re.search(r" at 0x[0-9a-fA-F]+", text):
        raise ValueError(f"{text}, which differs between processes")
    return text


def _default(item: Field[Any]) -> object:
    if item.default is not MISSING:
        return item.default
    return item.default_factory() if item.default_factory is not MISSING else MISSING
