"""Roles of fields: guessed from names and types, given by the user, stored in the index."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import commonspace as cs
from commonspace.errors import SettingError
from commonspace.methods import RawFeatures


def catalog(**fields: list[Any]) -> cs.Dataset:
    """Return two samples with fields."""
    return cs.Dataset(
        name="shop",
        ids=("hat", "sock"),
        columns={
            "image": cs.Features([[1, 0], [0, 1]]),
            "text": cs.Features([[1, 0], [1, 1]]),
        },
        labels=np.eye(2, dtype=bool),
        class_names=("hats", "socks"),
        splits=np.array(["train", "train"]),
        fields=fields,
    )


FIELDS: dict[str, list[Any]] = {
    "product_name": ["Hat", "Sock"],
    "Sale_Price": [3, 4],
    "cost": ["low", "high"],
    "shop_url": ["https://a.example", ""],
    "item_group_id": [1, 1],
    "curly": ["x", "y"],
}


def make(folder: Path, roles: dict[str, str] | None = None) -> cs.Index:
    """Create an index of the fields."""
    data = catalog(**FIELDS)
    return cs.Index.create(folder, RawFeatures().fit(data, data), data, roles=roles)


def test_usual_names_of_the_right_type_are_guessed(tmp_path: Path) -> None:
    with make(tmp_path / "shop") as index:
        assert index.roles == {
            "title": "product_name",
            "price": "Sale_Price",
            "link": "shop_url",
            "group": "item_group_id",
        }
        assert index.info()["roles"] == index.roles


def test_given_roles_are_stored_and_can_be_changed(tmp_path: Path) -> None:
    with make(tmp_path / "shop", {"title": "curly"}) as index:
        assert index.roles["title"] == "curly"
        index.set_roles({"price": "cost"})
    with cs.Index.open(tmp_path / "shop") as again:
        assert (again.roles["title"], again.roles["price"]) == ("curly", "cost")
        assert again.roles["link"] == "shop_url"
        assert again.verify().problems == ()


@pytest.mark.parametrize("roles", [{"title": "absent"}, {"color": "curly"}])
def test_unknown_roles_and_fields_are_refused_before_anything_is_written(
    tmp_path: Path, roles: dict[str, str]
) -> None:
    with pytest.raises(SettingError):
        make(tmp_path / "shop", roles)
    assert not (tmp_path / "shop").exists()
