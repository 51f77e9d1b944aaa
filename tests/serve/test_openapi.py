"""Every response matches the OpenAPI schema, for generated requests.

Not checked: that every request that matches the schema is accepted (a filter may be a string that
names no field).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from commonspace.serve import ServiceSettings, build_app

Listen = Callable[[FastAPI], AbstractContextManager[str]]

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def described(
    index: Path, listening: Listen, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[schemathesis.BaseSchema]:
    """The schema of a writable service with snapshots."""
    place = tmp_path_factory.mktemp("schema") / "copy"
    copytree(index, place)
    chosen = ServiceSettings(rate=0, writable=True, snapshots=place.parent / "snapshots")
    with listening(build_app(place, chosen)) as address:
        yield schemathesis.openapi.from_url(f"{address}/openapi.json")


def test_every_response_matches_the_schema(described: schemathesis.BaseSchema) -> None:
    addresses = set()
    for found in described.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        addresses.add((operation.method.upper(), operation.path))

        @settings(
            max_examples=20,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def answered(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(checks=CHECKS)

        answered()
    assert {("POST", "/v1/search"), ("POST", "/v1/items"), ("DELETE", "/v1/items/{id}")} < addresses
    assert len(addresses) == 24
