"""The scripts that start trainings, with stand-ins for `deepspeed`, `srun` and `scontrol` on PATH: what they
call, with which environment, and where a signal goes."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

LAUNCH = Path(__file__).parents[2] / "launch"
STARTERS = ("one_node.sh", "many_nodes.sh", "slurm.sbatch")

RECORDER = 'printf "%s\\n" "$@" >"$TOLD/arguments"; env >"$TOLD/environment"; exit "${STATUS:-0}"'

# As DeepSpeed's: one process that starts the ranks; a rank that ends otherwise than well ends the launch with
# its status.
LAUNCHER = """
starter() {
    trap 'echo starter >>"$TOLD/signals"; exit 1' TERM INT
    bash -c 'trap "echo rank >>\\"$TOLD/signals\\"; exit 143" TERM INT
        touch "$TOLD/ready"
        while :; do sleep 0.02; done' rank &
    wait $!
    exit $?
}
if [ "${1:-}" = -m ]; then starter; fi
trap 'echo runner >>"$TOLD/signals"; exit 1' TERM INT
bash "$0" -m deepspeed.launcher.launch "$@" &
wait $!
exit $?
"""

SRUN = """
printf "%s\\n" "$@" >"$TOLD/arguments"
while [ "${1#--}" != "$1" ]; do shift; done
for rank in 0 1; do SLURM_PROCID=$rank SLURM_LOCALID=0 "$@"; done
trap 'exit 143' TERM
touch "$TOLD/ready"
for _ in $(seq "${ROUNDS:-0}"); do sleep 0.02; done
exit "${STATUS:-0}"
"""

PYTHON = 'echo "$RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR $MASTER_PORT $*" >>"$TOLD/ranks"'

SCONTROL = 'if [ "$1" = show ]; then printf "node-a\\nnode-b\\n"; else echo "$@" >>"$TOLD/scontrol"; fi'

JOB = {
    "SLURM_JOB_ID": "123456",
    "SLURM_JOB_NODELIST": "node-[a-b]",
    "SLURM_NTASKS": "2",
    "SECONDS": "600",
}


class Bench:
    """A project with stand-ins, which come first on PATH, and what they were told. The scripts are copies:
    beside the project's own there may be a .venv, whose programs they would put before the stand-ins."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(LAUNCH, folder / "launch")
        (folder / "bin").mkdir()

    def stand_in(self, name: str, text: str) -> None:
        """A program of that name."""
        path = self.folder / "bin" / name
        path.write_text("#!/usr/bin/env bash\n" + text + "\n")
        path.chmod(0o755)

    def start(self, script: str, *arguments: str, **changes: str) -> subprocess.Popen[str]:
        """The script in the folder, without the variables of a launcher around this test."""
        kept = {
            k: v for k, v in os.environ.items() if k not in ("MASTER_PORT", "MASTER_ADDR", "DS_ACCELERATOR")
        }
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        own = {"TOLD": str(self.folder), "SLURM_SUBMIT_DIR": str(self.folder)}
        environment: Mapping[str, str] = kept | {"PATH": path, **own} | changes
        return subprocess.Popen(
            ["bash", str(self.folder / "launch" / script), *arguments],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_interrupts,
        )

    def run(self, script: str, *arguments: str, **changes: str) -> tuple[int, str, str]:
        """Status, output and errors."""
        process = self.start(script, *arguments, **changes)
        out, err = process.communicate(timeout=20)
        return process.returncode, out, err

    def told(self, name: str) -> list[str]:
        """The lines that a stand-in left, none if it was not called."""
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def signalled(self, process: subprocess.Popen[str], number: int) -> int:
        """Send a signal when the stand-in is ready; the status."""
        deadline = time.monotonic() + 20
        while not self.told("ready") and not (self.folder / "ready").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate(timeout=20)
        return process.returncode


def heed_interrupts() -> None:
    """Before a program starts: what runs in the background inherits that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Stand-ins that record, and a hostfile."""
    bench = Bench(tmp_path)
    bench.stand_in("deepspeed", RECORDER)
    bench.stand_in("srun", SRUN)
    bench.stand_in("python", PYTHON)
    bench.stand_in("scontrol", SCONTROL)
    (tmp_path / "hosts.txt").write_text("# two machines\nnode-a slots=1\n\nnode-b slots=1\n")
    return bench


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("*.s*")), ids=lambda path: path.name)
def test_every_script_is_bash(path: Path) -> None:
    subprocess.run(["bash", "-n", str(path)], check=True, timeout=20)
    assert max(map(len, path.read_text().splitlines())) <= 120


@pytest.mark.parametrize("script", STARTERS)
def test_help_shows_how_to_start(bench: Bench, script: str) -> None:
    status, out, err = bench.run(script, "--help")
    assert (status, err) == (0, "")
    assert f"launch/{script}" in out
    assert "RUN.yaml" in out
    assert bench.told("arguments") == []


@pytest.mark.parametrize(
    ("script", "arguments", "part"),
    [
        ("one_node.sh", [], "expected a run file"),
        ("one_node.sh", ["--ranks", "0", "run.yaml"], "--ranks needs a positive whole number, found '0'"),
        ("one_node.sh", ["--ranks"], "--ranks needs a positive whole number, found ''"),
        ("one_node.sh", ["--gpus", "2", "run.yaml"], "expected a run file before --gpus"),
        ("many_nodes.sh", ["hosts.txt"], "expected a hostfile and a run file"),
        ("many_nodes.sh", ["nowhere.txt", "run.yaml"], "nowhere.txt cannot be read"),
        ("many_nodes.sh", ["/dev/null", "run.yaml"], "/dev/null names no machine"),
        ("many_nodes.sh", ["--node", "2", "hosts.txt", "run.yaml"], "--node is 2, but hosts.txt names 2"),
        ("many_nodes.sh", ["--node", "x", "hosts.txt", "run.yaml"], "--node needs a number from 0, found 'x'"),
        ("starter_model.sh", ["a.smi", "b.smi"], "expected one file of SMILES, found 2"),
        ("starter_model.sh", ["nowhere.smi"], "nowhere.smi is no file"),
        ("starter_model.sh", ["--ranks"], "unknown option --ranks"),
        ("slurm.sbatch", [], "expected a run file"),
        ("slurm.sbatch", ["run.yaml"], "expected to be started by sbatch"),
    ],
)
def test_wrong_usage_is_one_line(bench: Bench, script: str, arguments: list[str], part: str) -> None:
    status, out, err = bench.run(script, *arguments)
    assert (status, out) == (2, "")
    assert part in err
    assert err.endswith(f"see {script} --help\n")
    assert err.count("\n") == 1
    assert bench.told("arguments") == []


@pytest.mark.parametrize("smiles", ["drugs.smi", None], ids=["fragments", "enumeration"])
def test_the_starter_model_is_simulated_trained_and_exported(bench: Bench, smiles: str | None) -> None:
    bench.stand_in(
        "mmspec", 'echo "$@" >>"$TOLD/mmspec"; mkdir -p starter_set; touch starter_set/train.parquet'
    )
    bench.stand_in("deepspeed", 'echo "$@" >>"$TOLD/mmspec"')
    if smiles:
        (bench.folder / smiles).write_text("CCO\n")
    for _ in range(2):  # the second time the spectra are there
        assert bench.run("starter_model.sh", *([smiles] if smiles else []))[0] == 0
    simulate, *rest = bench.told("mmspec")
    assert simulate.startswith("simulate --smiles drugs.smi --fragments --mol" if smiles else "simulate --mol")
    assert [line.split()[0] for line in rest] == ["--num_gpus", "export"] * 2
    assert f"train {bench.folder}/ds_configs/runs/starter.yaml --resume" in rest[0]
    assert rest[1] == "export --half runs/starter starter_model"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            "node-a slots=2\nnode-a slots=2\n",
            "line 2 names node-a again, after line 1: expected one line for each",
        ),
        (
            "node-a slots=8\nnode-b lots=8\n",
            'line 2 is "node-b lots=8": expected NAME slots=N, N being 1 or more',
        ),
        ("node-a\nnode-b\n", 'line 1 is "node-a": expected NAME slots=N'),
        ("# two\n\nnode-a slots=0\n", 'line 3 is "node-a slots=0": expected NAME slots=N'),
        ("node-a slots=two\n", 'line 1 is "node-a slots=two": expected NAME slots=N'),
        ("node-a slots=-1\n", 'line 1 is "node-a slots=-1": expected NAME slots=N'),
        ("node-a slots = 2\n", 'line 1 is "node-a slots = 2": expected NAME slots=N'),
        ("node-a:2\n", 'line 1 is "node-a:2": expected NAME slots=N'),
        ("node-a,slots=2\n", 'line 1 is "node-a,slots=2": expected NAME slots=N'),
        ("node-a, slots=2\n", 'line 1 is "node-a, slots=2": expected NAME slots=N'),
        ("slots=2 node-a\n", 'line 1 is "slots=2 node-a": expected NAME slots=N'),
        ("\ufeffnode-a slots=2\n", "line 1 is "),
        (
            "node-a slots=2 # first\nnode-b slots=2\r\nnode-a slots=1\r\n",
            "line 3 names node-a again, after line 1",
        ),
    ],
)
@pytest.mark.parametrize("options", [(), ("--node", "0")], ids=["ssh", "no ssh"])
def test_a_faulty_hostfile_is_one_line(bench: Bench, options: tuple[str, ...], text: str, fault: str) -> None:
    (bench.folder / "hosts.txt").write_bytes(text.encode())
    status, out, err = bench.run("many_nodes.sh", *options, "hosts.txt", "run.yaml")
    assert (status, out) == (1, "")
    assert err.startswith(f"many_nodes.sh: hosts.txt: {fault}")
    assert err.count("\n") == 1
    assert bench.told("arguments") == []


def test_comments_blank_lines_and_carriage_returns_are_no_fault(bench: Bench) -> None:
    text = "# machines\r\n\r\n  10.0.0.1 slots=02  # first\r\nuser@node-b.local\tslots=16"
    (bench.folder / "hosts.txt").write_bytes(text.encode())
    status, _, err = bench.run("many_nodes.sh", "--node", "1", "hosts.txt", "run.yaml")
    assert (status, err) == (0, "")
    assert bench.told("arguments")[:4] == ["--hostfile", "hosts.txt", "--master_addr", "10.0.0.1"]


def test_one_node_goes_on_where_the_run_stands(bench: Bench) -> None:
    status, _, err = bench.run("one_node.sh", "--ranks", "2", "--port", "29777", "run.yaml", "a.b=[1, 2]")
    assert (status, err) == (0, "")
    expected = (
        "--num_gpus 2 --no_local_rank --master_port 29777 --log_level error --module mmspec_ds train run.yaml"
    )
    assert bench.told("arguments") == [*expected.split(), "a.b=[1, 2]", "--resume"]


@pytest.mark.parametrize("decision", ["--overwrite", "--resume"])
def test_what_the_user_decides_is_left_to_him(bench: Bench, decision: str) -> None:
    bench.run("one_node.sh", "run.yaml", decision)
    assert bench.told("arguments")[-3:] == ["train", "run.yaml", decision]


def test_ranks_follow_the_gpus(bench: Bench) -> None:
    bench.stand_in("nvidia-smi", 'printf "GPU 0\\nGPU 1\\nGPU 2\\n"')
    bench.run("one_node.sh", "run.yaml")
    assert bench.told("arguments")[:2] == ["--num_gpus", "3"]
    assert not any(line.startswith("DS_ACCELERATOR") for line in bench.told("environment"))


def test_without_a_gpu_deepspeed_is_told_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    if subprocess.run(["bash", "-c", "command -v nvidia-smi"], capture_output=True).returncode == 0:
        pytest.skip("this machine has nvidia-smi")
    bench.run("one_node.sh", "run.yaml")
    assert bench.told("arguments")[:2] == ["--num_gpus", "1"]
    assert "DS_ACCELERATOR=cpu" in bench.told("environment")


@pytest.mark.parametrize("status", [1, 143, 247])
def test_the_status_of_the_launcher_is_handed_on(bench: Bench, status: int) -> None:
    assert bench.run("one_node.sh", "run.yaml", STATUS=str(status))[0] == status


def test_each_of_many_nodes_starts_its_own_ranks(bench: Bench) -> None:
    status, _, err = bench.run("many_nodes.sh", "--node", "1", "hosts.txt", "run.yaml")
    assert (status, err) == (0, "")
    reach = "--hostfile hosts.txt --master_addr node-a --master_port 29500 --no_ssh --node_rank 1"
    rest = "--no_local_rank --log_level error --module mmspec_ds train run.yaml --resume"
    assert bench.told("arguments") == [*reach.split(), *rest.split()]


def test_over_ssh_the_environment_goes_along_in_a_file_that_is_removed(bench: Bench) -> None:
    bench.stand_in(
        "deepspeed", 'cp "$DS_ENV_FILE" "$TOLD/sent"; echo "$DS_ENV_FILE" >"$TOLD/file"; ' + RECORDER
    )
    bench.run("many_nodes.sh", "--master", "10.0.0.1", "hosts.txt", "run.yaml", OMP_NUM_THREADS="3", SECRET="x")
    assert "--no_ssh" not in bench.told("arguments")
    assert bench.told("arguments")[3] == "10.0.0.1"
    sent = bench.told("sent")
    assert "OMP_NUM_THREADS=3" in sent
    assert any(line.startswith("PATH=") for line in sent)
    assert not any(line.startswith("SECRET") for line in sent)
    assert not Path(bench.told("file")[0]).exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "arguments",
    [("one_node.sh", "run.yaml"), ("many_nodes.sh", "--node", "0", "hosts.txt", "run.yaml")],
    ids=["one node", "many nodes"],
)
def test_a_signal_reaches_the_ranks_alone(bench: Bench, arguments: tuple[str, ...], number: int) -> None:
    bench.stand_in("deepspeed", LAUNCHER)
    assert bench.signalled(bench.start(*arguments), number) == 143
    assert bench.told("signals") == ["rank"]


def test_a_launcher_without_ranks_is_told_itself(bench: Bench) -> None:
    bench.stand_in("deepspeed", 'trap "exit 1" TERM; touch "$TOLD/ready"; while :; do sleep 0.02; done')
    assert bench.signalled(bench.start("one_node.sh", "run.yaml"), signal.SIGTERM) == 1


def test_slurm_s_tasks_know_their_place(bench: Bench) -> None:
    status, _, err = bench.run("slurm.sbatch", "run.yaml", "seed=1", **JOB)
    assert (status, err) == (0, "")
    assert bench.told("ranks") == [
        f"{rank} 0 2 node-a 23456 -m mmspec_ds train run.yaml seed=1 --resume" for rank in (0, 1)
    ]
    assert bench.told("scontrol") == []


@pytest.mark.parametrize(
    ("status", "seconds", "requeued"),
    [(143, "600", ["requeue 123456"]), (143, "5", []), (1, "600", []), (137, "600", []), (0, "600", [])],
    ids=["stopped", "stopped at once", "fault", "killed", "done"],
)
def test_only_a_run_that_was_asked_to_stop_is_requeued(
    bench: Bench, status: int, seconds: str, requeued: list[str]
) -> None:
    found, out, _ = bench.run("slurm.sbatch", "run.yaml", **JOB | {"STATUS": str(status), "SECONDS": seconds})
    assert found == status
    assert bench.told("scontrol") == requeued
    assert ("too short" in out) == (seconds == "5")


def test_a_cancelled_job_is_not_requeued(bench: Bench) -> None:
    # Slurm signals the shell and the step; the step ends by itself as stopped.
    process = bench.start("slurm.sbatch", "run.yaml", **JOB | {"STATUS": "143", "ROUNDS": "25"})
    assert bench.signalled(process, signal.SIGTERM) == 143
    assert bench.told("scontrol") == []
