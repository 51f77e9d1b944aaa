"""The engine that the options --engine, --processes and --address name."""

from typing import TYPE_CHECKING, Literal

from commonspace.errors import SettingError

if TYPE_CHECKING:
    from commonspace.engines import Engine

__all__ = ["engine_named"]


def engine_named(
    name: Literal["local", "processes", "ray"],
    processes: int | None,
    address: str | None,
    *,
    gpu: bool = False,
) -> "Engine | None":
    """Return the engine; None, and nothing imported, for this process.

    Args:
        name: as on the command line.
        processes: number of processes of this machine; None: one a core.
        address: of the Ray cluster.
        gpu: whether each part needs a GPU.

    Raises:
        SettingError: an option belongs to another engine.
        MissingExtraError: Ray is not installed.
    """
    if address is not None and name != "ray":
        raise SettingError(
            "`--address` is the address of a Ray cluster",
            expected="--engine ray --address ADDRESS",
            found=f"--engine {name}",
            advice="add --engine ray, or leave the address out",
        )
    if name == "ray":
        if processes is not None:
            raise SettingError(
                "`--processes` is not an option of Ray",
                expected="--engine processes --processes N",
                found="--engine ray",
                advice="leave it out: Ray uses the CPUs of its cluster",
            )
        from commonspace.engines import RayCluster

        return RayCluster(address, gpu=gpu)
    if name == "local" and processes is None:
        return None
    from commonspace.engines import LocalProcesses
    from commonspace.machine import available_cores

    return LocalProcesses(processes or available_cores())
