"""What stands in a row of a comparison: a method, and by which rule its settings are chosen.

Nothing is fitted here.
"""

import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass, replace
from typing import Any

from commonspace.comparison.method_file import MethodFile
from commonspace.errors import SettingError
from commonspace.methods import Method
from commonspace.methods.base.hyperparameters import Between, OneOf

__all__ = ["Budget", "Row", "described"]


@dataclass(frozen=True)
class Budget:
    """What every method of a comparison may spend.

    Args:
        trials: settings that are tried on validation, the method as it stands included; 1 leaves
            every method as it stands.
        epochs: at most, for methods that train by epochs.
        patience: epochs without a better validation mAP after which a training stops. A method
            whose own patience is None never stops early, and has its own epochs where they are
            fewer.

    Raises:
        SettingError: a number is below 1.
    """

    trials: int = 10
    epochs: int = 100
    patience: int = 20

    def __post_init__(self) -> None:
        """Refuse what leaves nothing to do."""
        for name, value in asdict(self).items():
            if value < 1:
                raise SettingError(
                    f"the budget cannot have so few {name}",
                    expected="at least 1",
                    found=str(value),
                    advice="leave it out to take the default",
                )


@dataclass(frozen=True)
class Row:
    """A method under a name.

    Its class may have an attribute ``search``: setting -> what may be tried. A setting that was
    given a value of its own is not searched.

    Args:
        name: in the table, and of the folder of its cells.
        method: a dataclass with ``fit``, as its settings stand without tuning.
        tuned_as: the row whose chosen settings it takes over, as an ablation does; it has no
            trials of its own.
        file: where the class stands, if not in a package that every process can import.

    Raises:
        SettingError: the method is no dataclass with ``fit``, the name is no name, the search
            names no setting, or a setting cannot be written down.
    """

    name: str
    method: Method
    tuned_as: str | None = None
    file: MethodFile | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be settled, and what cannot name a folder."""
        if not self.name or self.name.startswith(".") or set(self.name) & set('/\\:*?"<>|'):
            raise SettingError(
                "a row of the comparison has a name that no folder can have",
                expected="letters, digits, hyphens",
                found=repr(self.name),
                advice="give it another name",
            )
        method: object = self.method  # which may come from a file of somebody else
        if not is_dataclass(method) or not callable(getattr(method, "fit", None)):
            raise SettingError(
                f"{self.name} is no method",
                expected="an instance of a dataclass with fit(train, validation, run)",
                found=type(self.method).__name__,
                advice="see docs/methods.md, One more method",
            )
        self._check_search()
        self._check_settings()

    @property
    def search(self) -> dict[str, Between | OneOf]:
        """What may be tried: what the class names, less what was given a value."""
        named: Mapping[str, Between | OneOf] = getattr(type(self.method), "search_space", {})
        return {name: space for name, space in named.items() if name not in self._given()}

    @property
    def seeded(self) -> bool:
        """Whether the method draws random numbers, so that another seed gives another result."""
        return "seed" in self._fields()

    def settled(self, settings: Mapping[str, Any], seed: int, budget: Budget) -> Method:
        """Return the method with chosen settings, a seed and the budget of the comparison.

        Args:
            settings: what was chosen; what the row was given itself stays as it is.
            seed: for a method that draws random numbers.
            budget: its epochs and patience, for a method that has such settings.
        """
        given = self._given()
        chosen = {name: value for name, value in settings.items() if name not in given}
        limits = {"seed": seed, **self._limits(budget)}
        chosen |= {name: value for name, value in limits.items() if name in self._fields()}
        method: Method = replace(self.method, **chosen)  # type: ignore[type-var]
        return method

    def _limits(self, budget: Budget) -> dict[str, int | None]:
        """Return epochs and patience; a method that never stops early may be as short as it is.

        Its schedule reaches to its last epoch: another length would make it another method.
        """
        if getattr(self.method, "patience", 0) is not None:
            return {"epochs": budget.epochs, "patience": budget.patience}
        own = getattr(self.method, "epochs", None)
        return {"epochs": min(own or budget.epochs, budget.epochs), "patience": None}

    def _check_search(self) -> None:
        named: Mapping[str, object] = getattr(type(self.method), "search_space", {})
        for name, space in named.items():
            if name not in self._fields() or not isinstance(space, Between | OneOf):
                raise SettingError(
                    f"{self.name} cannot be tuned",
                    expected="search: the name of a field -> Between(low, high) or OneOf(values)",
                    found=f"{name!r}: {space!r}",
                    advice=f"its fields are {', '.join(self._fields()) or 'none'}",
                )

    def _check_settings(self) -> None:
        """Refuse settings by which a cell could not be known again, or that do not travel."""
        try:
            described(self.method)
            pickle.dumps(self.method)
        except (TypeError, ValueError, AttributeError, pickle.PicklingError) as exc:
            raise SettingError(
                f"the settings of {self.name} cannot be kept with its cells",
                expected="numbers, strings, and what is made of them",
                found=str(exc),
                advice="name the choice by a string, and make the object in fit",
            ) from exc

    def _fields(self) -> dict[str, Field[Any]]:
        return {one.name: one for one in fields(self.method)}  # type: ignore[arg-type]

    def _given(self) -> set[str]:
        return {
            name
            for name, one in self._fields().items()
            if (own := _own(one)) is MISSING or _plain(getattr(self.method, name)) != _plain(own)
        }


def described(method: Method) -> dict[str, Any]:
    """Return class and settings of a method, fit for JSON: equal for methods that do the same.

    Raises:
        ValueError: a setting is an object that no other process would know again.
    """
    kind = type(method)
    options = asdict(method)  # type: ignore[call-overload]
    plain: dict[str, Any] = _plain(
        {"class": f"{kind.__module__}.{kind.__qualname__}", "options": options}
    )
    return plain


def _plain(value: object) -> Any:  # noqa: ANN401 - what JSON can hold
    return json.loads(json.dumps(value, default=_written))


def _written(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if hasattr(value, "tolist"):  # an array, whose repr leaves out what is in the middle
        return value.tolist()
    text = repr(value)
    if re.search(r" at 0x[0-9a-fA-F]+", text):
        raise ValueError(f"{text}, which is another one in every process")
    return text


def _own(one: Field[Any]) -> object:
    if one.default is not MISSING:
        return one.default
    return one.default_factory() if one.default_factory is not MISSING else MISSING
