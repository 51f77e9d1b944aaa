"""Routes of snapshots, for callers that may write."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse

from commonspace.serve.errors import RESPONSES
from commonspace.serve.schemas import SnapshotResponse, StatusResponse
from commonspace.serve.snapshots import Snapshots

__all__ = ["add_snapshot_routes"]

_ERRORS: dict[int | str, dict[str, Any]] = {
    status: RESPONSES[status] for status in (401, 403, 404, 422, 429, 500, 503)
}


def add_snapshot_routes(
    router: APIRouter, snapshots: Snapshots, check: Callable[[Request], None]
) -> None:
    """Add the routes of the snapshots of one index.

    Args:
        router: of the index.
        snapshots: of the index.
        check: refuses a request whose caller may not write.
    """

    @router.get("/snapshots", response_model=list[SnapshotResponse], responses=_ERRORS)
    def snapshot_list(request: Request) -> list[SnapshotResponse]:
        """List the snapshots of the index, the newest first."""
        check(request)
        return snapshots.list()

    @router.post("/snapshots", response_model=SnapshotResponse, status_code=201, responses=_ERRORS)
    def create_snapshot(request: Request) -> SnapshotResponse:
        """Write a snapshot of the index; it is searched meanwhile, and changes wait."""
        check(request)
        return snapshots.create()

    @router.get(
        "/snapshots/{name}",
        response_class=Response,
        responses={200: {"content": {"application/x-tar": {}}}, **_ERRORS},
    )
    def snapshot(request: Request, name: str) -> Response:
        """Return a snapshot, as a tar file."""
        check(request)
        return FileResponse(snapshots.find(name), media_type="application/x-tar", filename=name)

    @router.post(
        "/snapshots/{name}/restore",
        response_model=StatusResponse,
        responses={**_ERRORS, 409: RESPONSES[409]},
    )
    def restore_snapshot(request: Request, name: str) -> StatusResponse:
        """Replace the index by a snapshot; searches see the one or the other."""
        check(request)
        return StatusResponse(status=f"restored: {snapshots.restore(name)} items")

    @router.delete("/snapshots/{name}", response_model=StatusResponse, responses=_ERRORS)
    def delete_snapshot(request: Request, name: str) -> StatusResponse:
        """Delete a snapshot."""
        check(request)
        snapshots.delete(name)
        return StatusResponse(status="deleted")
