"""A real Slurm on one machine: a small experiment through profiles/slurm, one job cancelled half-way, the same bytes.

It writes to /etc/slurm, so it runs only where asked for (SLURM_SANDBOX=1), as root, and where no slurm.conf exists.
It removes what it wrote and stops every daemon that it started.
"""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from approach.devices import gpus_needed, resolve_device
from helpers.paths import ROOT
from helpers.runs import Workflow, count_jobs, told

ETC = Path("/etc/slurm")
DAEMONS = ("munged", "slurmctld", "slurmd")
# Without accounting, with one stand-in card. SLURM_CONF alone would not reach the jobs' own commands.
SLURM_CONF = """
ClusterName=sandbox
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MinJobAge=3600
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
KEYS = {"name": "cluster", "loss": "l2", "seeds": 4, "seeds_per_job": 2, "steps": 2000}
# All the kinds of jobs: alone, on the card, gathered per setting, gathered for the experiment. Films are left out.
ONLY = ("--until", "montage", "montage_of_arrivals")
SETTING = "loss~l2+lr~0.4"
FOLDER = f"results/cluster/{SETTING}"
BATCHES = ("0-1", "2-3")


# A small cluster may be asked more often than the profile does: most of the test would be waiting.
OFTEN = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2")


class Clustered(Workflow):
    """Runs through profiles/slurm; the inversion asks for the stand-in card."""

    def command(self, *options, hydra="", **config):
        """As locally, but for the profile."""
        words = super().command(*options, *OFTEN, "--set-resources", "invert:gpu=1", hydra=hydra, **config)
        local, cluster = (str(ROOT / "profiles" / name) for name in ("default", "slurm"))
        return [cluster if word == local else word for word in words]


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def until(condition, what: str, patience: float = 300):
    """The first true answer of a condition."""
    limit = time.monotonic() + patience
    while time.monotonic() < limit:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {patience:.0f} s in vain for {what}")


def why_no_slurm() -> str | None:
    """Why no Slurm can be started here, or None."""
    if os.environ.get("SLURM_SANDBOX") != "1":
        return "SLURM_SANDBOX=1 allows the tests to write to /etc/slurm"
    if os.geteuid() != 0:
        return "only root can start Slurm's daemons"
    if (ETC / "slurm.conf").exists():
        return f"this machine has a Slurm already ({ETC}/slurm.conf)"
    missing = [daemon for daemon in DAEMONS if not shutil.which(daemon, path=f"{os.environ['PATH']}:/usr/sbin")]
    return f"not installed: {', '.join(missing)}" if missing else None


@pytest.fixture
def slurm():
    """A running Slurm; its folder lies outside pytest's, whose folders munged's user may not enter."""
    if why_not := why_no_slurm():
        pytest.skip(why_not)
    folder = Path(tempfile.mkdtemp(prefix="slurm-sandbox-", dir="/tmp"))
    folder.chmod(0o755)
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o755)
    host = said("hostname", "-s").strip()
    had_etc, running, written = ETC.is_dir(), [], []
    on_term = signal.signal(signal.SIGTERM, signal.default_int_handler)  # a test that is ended cleans up too
    try:
        (folder / "munge/key").write_bytes(os.urandom(128))
        (folder / "munge/key").chmod(0o400)
        for path in (folder / "munge", folder / "munge/key"):
            shutil.chown(path, "munge", "munge")
        ETC.mkdir(exist_ok=True)
        files = {"slurm.conf": SLURM_CONF.format(host=host, folder=folder), "gres.conf": "Name=gpu File=/dev/null\n"}
        for name, text in files.items():
            with (ETC / name).open("x") as file:
                file.write(text)
            written.append(ETC / name)
        places = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        munged = ["munged", "--foreground", *(f"--{name}={folder}/munge/{file}" for name, file in places.items())]
        for command in (["runuser", "-u", "munge", "--", *munged], ["slurmctld", "-D"], ["slurmd", "-D"]):
            with (folder / "daemons.log").open("a") as log:
                path = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
                running.append(subprocess.Popen(command, stdout=log, stderr=log, env=path))
            if command[-1].startswith("--"):
                until((folder / "munge/socket").exists, "munged", 30)
        until(lambda: "idle" in subprocess.getoutput("sinfo --noheader --format=%T"), "an idle node", 60)
        yield folder
    finally:
        if len(running) == 3:
            with suppress(subprocess.TimeoutExpired):
                subprocess.run(["scancel", "--user", "root"], check=False, timeout=60)
            subprocess.getoutput("timeout 60 sh -c 'while squeue --noheader | grep -q .; do sleep 0.5; done'")
        for daemon in reversed(running):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(30)
            except subprocess.TimeoutExpired:
                daemon.kill()
        for path in written:
            path.unlink()
        if not had_etc:
            ETC.rmdir()
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, on_term)


def jobs() -> dict[str, dict[str, str]]:
    """What Slurm knows of the jobs: id -> state, comment (rule and wildcards), what was asked for."""
    found = {}
    for line in said("scontrol", "--oneliner", "show", "jobs").splitlines():
        fields = dict(word.split("=", 1) for word in line.split() if "=" in word)
        if "JobId" in fields:
            found[fields["JobId"]] = fields
    return found


def step_of(log: Path) -> int:
    """The step that an inversion's log says last."""
    steps = re.findall(r"step (\d+)/", log.read_text()) if log.exists() else []
    return int(steps[-1]) if steps else 0


def job_of(batch: str) -> str | None:
    """The id of the running job that inverts a batch."""
    for number, fields in jobs().items():
        if fields["JobState"] == "RUNNING" and "invert" in fields["Comment"] and batch in fields["Comment"]:
            return number
    return None


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_an_experiment_on_a_cluster_with_one_job_cancelled_half_way(tmp_path, tiny_words, slurm, request):
    local = Workflow(tmp_path / "local", tiny_words)
    cluster = Clustered(tmp_path / "cluster", tiny_words)
    for workflow in (local, cluster):
        workflow.folder.mkdir()
    local.done("--until", "invert", **KEYS)
    batches = [f"{FOLDER}/trajectories/{batch}.safetensors" for batch in BATCHES]
    wanted = [(local.folder / batch_file).read_bytes() for batch_file in batches]

    began = time.monotonic()
    with (tmp_path / "first.log").open("w") as log:
        first = subprocess.Popen(
            cluster.command(*ONLY, "--retries", "0", **KEYS), cwd=cluster.folder, stdout=log, stderr=log
        )
    request.addfinalizer(first.kill)
    logs = {batch: cluster.folder / f"logs/cluster/{SETTING}/invert/{batch}.log" for batch in BATCHES}
    batch = until(lambda: next((b for b, log in logs.items() if step_of(log) >= 20), None), "an inversion under way")
    number = until(lambda: job_of(batch), f"the job of {batch}")
    live = cluster.folder / "results/cluster/live/run.js"
    # What a job on a node writes into the shared folder, the page reads from there.
    until(lambda: f"{SETTING}/{batch}" in {one["batch"] for one in told(live)["batches"]}, "the page to show the batch")
    said_of_it = cluster.folder / FOLDER / "trajectories" / f"{batch}.live.js"
    until(lambda: 20 <= told(said_of_it)["step"] < KEYS["steps"], "the job to tell its step")
    assert told(live)["state"] == "running" and (live.parent / "index.html").is_file()
    assert "gpu" in str({key: value for key, value in jobs()[number].items() if "Tres" in key or "TRES" in key})
    said("scancel", number)
    assert first.wait(600) == 1
    assert jobs()[number]["JobState"] == "CANCELLED"
    assert "the same command goes on from here" in logs[batch].read_text()
    assert told(live)["state"] == "failed"
    (failure,) = told(live)["failures"]
    assert failure["rule"] == "invert" and "the same command goes on from here" in failure["line"]
    assert not (cluster.folder / f"{FOLDER}/trajectories/{batch}.safetensors").exists()
    other = BATCHES[1 - BATCHES.index(batch)]
    assert (cluster.folder / f"{FOLDER}/trajectories/{other}.safetensors").exists()

    cluster.done(*ONLY, **KEYS)
    assert "goes on at step" in logs[batch].read_text()
    assert told(live)["state"] == "done" and told(said_of_it)["step"] == KEYS["steps"]
    assert f"{SETTING}/{batch}" in {one["batch"] for one in told(live)["finished"]}
    assert [(cluster.folder / batch_file).read_bytes() for batch_file in batches] == wanted
    assert (cluster.folder / FOLDER / "montage.png").exists()
    assert (cluster.folder / "results/cluster/montage.png").exists()
    table = "\n".join(f"{n} {job['JobState']} {job['RunTime']} {job['Comment'][:90]}" for n, job in jobs().items())
    print(f"{time.monotonic() - began:.0f} s, {len(jobs())} jobs\n{table}")


@pytest.mark.parametrize(("command", "code"), [("squeue", 0), ("sacct", 0), ("qstat", 1)])
def test_the_slurm_profile_plans_with_and_without_accounting(workflow, command, code):
    """Without a cluster this is all that can be asked of sacct: the plugin knows the option and its values."""
    local, cluster = (str(ROOT / "profiles" / name) for name in ("default", "slurm"))
    words = workflow.command("-n", "--quiet", "rules", "--slurm-status-command", command, "--until", "invert", **KEYS)
    result = subprocess.run(
        [cluster if word == local else word for word in words],
        cwd=workflow.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == code, result.stderr
    assert count_jobs(result.stdout + result.stderr) == ({} if code else {"prepare_target": 1, "invert": 2})


def test_a_gpu_is_asked_for_where_the_device_is_one(monkeypatch):
    assert gpus_needed("cpu") == 0
    assert gpus_needed("cuda") == gpus_needed("cuda:1") == gpus_needed("mps") == 1
    assert gpus_needed("auto") == (resolve_device("auto") != "cpu")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus_needed("auto") == (resolve_device("auto") == "mps")


def test_the_gpu_profile_gives_the_card_to_one_job_and_inverts_more_seeds_in_it(workflow):
    local, gpu = (str(ROOT / "profiles" / name) for name in ("default", "gpu"))
    keys = {"name": "cards", "loss": "l2", "seeds": 20, "steps": 2}
    command = [gpu if word == local else word for word in workflow.command("-n", "--until", "invert", **keys)]
    command.remove("seeds_per_job=16")
    planned = subprocess.run(command, cwd=workflow.folder, capture_output=True, text=True, check=True)
    text = planned.stdout + planned.stderr
    assert count_jobs(text) == {"prepare_target": 1, "invert": 1}  # 64 seeds a job, from configuration.yaml
    assert "gpu=1" in text  # device=cuda, likewise
