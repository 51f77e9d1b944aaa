"""Job files for clusters: their syntax, and the options of the commands in them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from commonspace.cli.main import build

FOLDER = Path(__file__).parents[1] / "examples" / "scale"


def options_of(command: str, arguments: list[str]) -> None:
    """Check that each option of ``train`` in a command exists."""
    group = typer.main.get_command(build())
    known = {
        option
        for parameter in group.commands[command].params  # type: ignore[attr-defined]
        for option in parameter.opts
    }
    used = {word.partition("=")[0] for word in arguments if word.startswith("--")}
    assert used
    assert used <= known


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_slurm_job_is_a_script_that_calls_train_with_its_options() -> None:
    path = FOLDER / "train.sbatch"
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text("utf-8")
    directives = re.findall(r"(?m)^#SBATCH (--[a-z-]+)=\S+$", text)
    assert {"--nodes", "--ntasks-per-node", "--gpus-per-node"} <= set(directives)
    assert len(directives) == text.count("#SBATCH")
    before, after = text.split("-m commonspace train ")
    assert "torchrun" in before
    options_of("train", [*after.split(), *re.findall(r"resume=\((--\w+)\)", text)])


def test_the_kubernetes_job_runs_as_many_pods_as_torchrun_expects() -> None:
    service, job = yaml.safe_load_all((FOLDER / "train.yaml").read_text("utf-8"))
    assert (service["kind"], job["kind"], job["apiVersion"]) == ("Service", "Job", "batch/v1")
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    command = container["command"]
    assert f"--nnodes={job['spec']['completions']}" in command
    assert f"--nproc-per-node={container['resources']['limits']['nvidia.com/gpu']}" in command
    assert pod["subdomain"] == service["metadata"]["name"]
    assert {one["name"] for one in container["volumeMounts"]} == {
        one["name"] for one in pod["volumes"]
    }
    options_of("train", command[command.index("train") :])
