"""Job files for clusters: their syntax, and the options of the commands in them."""

import importlib.util
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from commonspace.cli.main import build

FOLDER = Path(__file__).parents[1] / "examples" / "scale"


RAY_JOB = {
    "entrypoint",
    "shutdownAfterJobFinishes",
    "ttlSecondsAfterFinished",
    "rayClusterSpec",
}
"""Fields of a RayJob of KubeRay (rayjob_types.go) that the example uses."""


def options_of(command: str, arguments: list[str]) -> None:
    """Check that each option of a command exists."""
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


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_job_of_a_catalogue_extracts_on_ray_and_indexes_what_it_wrote() -> None:
    path = FOLDER / "catalogue.sh"
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text("utf-8").replace("\\\n", "")
    extract, update, index = (
        shlex.split(line) for line in text.splitlines() if line.strip().startswith("commonspace ")
    )
    options_of("extract", extract)
    options_of("index", index)
    assert extract[extract.index("--engine") + 1 :][:3] == ["ray", "--address", "auto"]
    assert extract[-2:] == ["--out", index[3]] == ["--out", update[3]]
    assert index[-2:] == ["--out", update[2]]
    assert 'mkdir -p "$out"' in text  # neither command makes the folder
    submit = text[text.index("ray job submit") :].split(" -- ")[0].split()[3:]
    ray_options("ray.dashboard.modules.job.cli", "submit", submit)


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_the_slurm_job_of_a_catalogue_starts_ray_on_each_of_its_nodes() -> None:
    path = FOLDER / "catalogue.sbatch"
    subprocess.run(["bash", "-n", str(path)], check=True)
    text = path.read_text("utf-8")
    directives = re.findall(r"(?m)^#SBATCH (--[a-z-]+)(?:=\S+)?$", text)
    assert {"--nodes", "--ntasks-per-node", "--cpus-per-task", "--exclusive"} <= set(directives)
    assert len(directives) == text.count("#SBATCH")
    before, command = text.replace("\\\n", "").split("ray symmetric-run")
    assert before.rstrip().endswith('--ntasks="$SLURM_JOB_NUM_NODES"')
    options, entry = command.split(" -- ")
    assert entry.split() == ["bash", "examples/scale/catalogue.sh", '"$@"']
    own = [word for word in options.split() if word in ("--address", "--min-nodes")]
    ray_options("ray.scripts.symmetric_run", "symmetric_run", own)
    ray_options("ray.scripts.scripts", "start", ["--num-cpus"])
    assert set(re.findall("--[a-z-]+", options)) == {*own, "--num-cpus"}


def test_the_kubernetes_job_of_a_catalogue_is_a_rayjob_whose_pods_share_the_volume() -> None:
    job = yaml.safe_load((FOLDER / "catalogue.yaml").read_text("utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    spec = job["spec"]
    assert set(spec) == RAY_JOB
    assert spec["entrypoint"].split()[:2] == ["bash", "/data/catalogue.sh"]
    cluster = spec["rayClusterSpec"]
    constraints = (FOLDER.parents[1] / "constraints.txt").read_text("utf-8")
    assert f"ray=={cluster['rayVersion']}\n" in constraints
    head, (group,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert head["rayStartParams"]["num-cpus"] == "0"  # a text, as KubeRay expects
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    for pod in (head, group):
        inner = pod["template"]["spec"]
        (container,) = inner["containers"]
        assert [one["mountPath"] for one in container["volumeMounts"]] == ["/data"]
        assert container["volumeMounts"][0]["name"] == inner["volumes"][0]["name"]


def ray_options(module: str, name: str, arguments: list[str]) -> None:
    """Check that each option of a command of Ray exists, where Ray is installed."""
    if importlib.util.find_spec("ray") is None:
        return
    command = getattr(importlib.import_module(module), name)
    known = {option for parameter in command.params for option in parameter.opts}
    used = {word for word in arguments if word.startswith("--")}
    assert used
    assert used <= known
