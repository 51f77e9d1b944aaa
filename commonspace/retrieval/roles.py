"""Roles of fields: which field is the title, the price, the link or the group of an item.

A role is given when the index is created or updated, and stored in it; else it is guessed from the
names and types of the fields.
"""

import json
import re
from collections.abc import Collection, Mapping

from commonspace.errors import SettingError
from commonspace.retrieval.changes import set_meta
from commonspace.retrieval.store import Store

__all__ = ["ROLES", "check_roles", "read_roles", "write_roles"]

ROLES = ("title", "price", "link", "group")
"""What a field can be; items of one group are variants of one thing."""

_META = "roles"

_GUESSES: dict[str, tuple[str, tuple[str, ...]]] = {
    "title": (r"title|name|product[_ ]?(name|title)|headline", ("string",)),
    "price": (r"((sale|discounted|retail|unit)[_ ]?)?(price|cost)([_ ]\w{3})?", ("number",)),
    "link": (r"(.*[_ ])?(url|link|href)", ("string",)),
    "group": (r"(item|product)[_ ]?group([_ ]?id)?|variant[_ ]?of", ("string", "number")),
}
"""Role -> the names of usual fields, and their types."""


def read_roles(store: Store) -> dict[str, str]:
    """Return role -> field, of those that are given or can be guessed.

    Args:
        store: of the index.
    """
    types = store.field_types
    given: dict[str, str] = json.loads(store.meta(_META) or "{}")
    roles = {}
    for role, (pattern, kinds) in _GUESSES.items():
        usual = (
            name
            for name, kind in types.items()
            if kind in kinds and re.fullmatch(pattern, name, re.IGNORECASE)
        )
        field = given.get(role) or next(usual, None)
        if field in types:
            roles[role] = field
    return roles


def write_roles(store: Store, roles: Mapping[str, str]) -> None:
    """Store roles beside those that were given before.

    Args:
        store: of the index, under the lock of writers.
        roles: role -> field.

    Raises:
        SettingError: If a role or a field is unknown.
    """
    check_roles(roles, store.field_types)
    given: dict[str, str] = json.loads(store.meta(_META) or "{}")
    with store.transaction() as connection:
        set_meta(connection, _META, json.dumps(given | dict(roles)))


def check_roles(roles: Mapping[str, str], fields: Collection[str]) -> None:
    """Check the names of roles and fields.

    Raises:
        SettingError: If one is unknown.

    Example:
        >>> check_roles({"title": "name"}, ["name", "price"])
    """
    for role, field in roles.items():
        if role not in ROLES:
            raise SettingError(
                f"the role {role!r} is unknown",
                expected=" or ".join(ROLES),
                found=repr(role),
                advice="leave it out",
            )
        if field not in fields:
            raise SettingError(
                f"no item has the field {field!r}, which is named as the {role}",
                expected=" or ".join(fields) or "data with fields",
                found=repr(field),
                advice="check the spelling: commonspace data DATA lists the fields",
            )
