"""What machines do to a run: after each fault a clear line, nothing half-written, and a rerun that
ends in the same bytes.

A run is held, where a fault is to hit it, as long as a file called hold is there: a training
behind its first checkpoint, a notebook before it draws. So no test depends on how fast a machine
is.
"""

import copy
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from helpers import Workflow

from sclatent import __version__
from sclatent.common.errors import UserError
from sclatent.io.records import read_record
from sclatent.pipeline.failures import explain
from sclatent.pipeline.preflight import STAMP, check_records, stamp_records

STUDY = {"title": "S", "datasets": ["digits"], "models": ["a"], "seeds": [0]}
MODELS = {
    "a": {
        "title": "A",
        "family": "held",
        "hyperparameters": {"latent_dim": 2},
        "training": {"epochs": 4},
    },
    "mixture": {
        "title": "Mixture",
        "family": "gmvae",
        "hyperparameters": {"n_components": 5, "dropout": 0.1, "batch_norm": True},
        "training": {
            "epochs": 20,
            "phases": [{"objective": "pretraining"}, {}],
            "validation": 0.1,
            "patience": 20,
        },
    },
}
# A family of which each step leaves a letter, and which waits behind its first epoch if it is held.
HELD_HYPERPARAMETERS = """
from pydantic import Field
from sclatent.families.base import AutoencoderHyperparameters


class Hyperparameters(AutoencoderHyperparameters):
    latent_relu: bool = Field(True, description="as of the family ae")
"""
HELD = """
import time
from pathlib import Path


from sclatent.models import ae


class Model(ae.Model):
    def loss(self, batch, progress=1.0):
        while progress >= 0.25 and Path("hold").exists():
            time.sleep(0.01)
        if self.training:
            with Path("steps").open("a") as steps:
                steps.write("s")
        return super().loss(batch, progress)
"""
DATA = "results/data/digits/preprocessed.h5ad"
TABLE = "results/data/digits/qc.tsv"
WEIGHTS = "results/runs/digits/a/0/weights.safetensors"
RECORD = "results/runs/digits/a/0/run.json"
LATENTS = "results/studies/s/digits/a/latents.h5ad"
FIGURE = "results/studies/s/figures/quality_control/digits.svg"
HOLD = 'while __import__("os").path.exists("hold"): __import__("time").sleep(0.01)\n'
# Root writes everywhere unless it gives up that right.
AS_USER = (
    ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    if os.geteuid() == 0
    else ()
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Workflow:
    """A finished run that nothing disturbed, of code that can be held."""
    workflow = Workflow(tmp_path_factory.mktemp("whole"))
    workflow.configure(run=["s"], models=MODELS, studies={"s": STUDY})
    library = workflow.folder / "scripts" / "sclatent"
    workflow.add_family("held", HELD_HYPERPARAMETERS, HELD)
    with (library / "training" / "loop.py").open("a") as code:
        code.write("\nCHECKPOINT_EVERY = 0  # after each epoch\n")
    template = workflow.folder / "workflow" / "notebooks" / "figure.ipynb"
    notebook = json.loads(template.read_text())
    notebook["cells"][-1]["source"].insert(0, HOLD)
    template.write_text(json.dumps(notebook))
    made(workflow, LATENTS, FIGURE)
    assert {WEIGHTS, RECORD, DATA, TABLE, LATENTS, FIGURE} <= set(contents(workflow))
    return workflow


@pytest.fixture
def run(whole, tmp_path) -> Workflow:
    """A copy of the finished run."""
    return whole.copied(tmp_path / "run")


def without(workflow: Workflow, *names: str) -> Workflow:
    """Remove results of a run."""
    for name in names:
        path = workflow.folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return workflow


def contents(workflow: Workflow) -> dict[str, bytes]:
    """Return the bytes of all results, hidden files too; of executed notebooks, which hold times,
    only that they are there.
    """
    folders = [workflow.path(name) for name in ("data", "runs", "studies")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(workflow.folder)): b""
        if path.suffix == ".ipynb"
        else path.read_bytes()
        for path in files
    }


def lines_of(output: str) -> list[str]:
    """Return the lines that a run says by itself, not Snakemake; nothing of Python is among what is
    printed.
    """
    assert "Traceback" not in output
    return [
        line
        for line in output.splitlines()
        if re.match(r"(sclatent|fetch|train|encode|preprocess|figures)( [\w ./]+)?: ", line)
    ]


def made(workflow: "Workflow | Disk", *targets: str) -> str:
    """Make results and return what the run printed."""
    run = workflow.snakemake("--cores", "2", "--", *targets)
    assert run.returncode == 0, run.stdout
    return run.stdout


def failed(workflow: "Workflow | Disk", *targets: str, **options) -> list[str]:
    """Return the lines of a run that fails."""
    run = workflow.snakemake("--cores", "2", "--", *targets, **options)
    assert run.returncode == 1, run.stdout
    return lines_of(run.stdout)


def nothing_to_do(workflow: Workflow, *targets: str) -> bool:
    """Return whether a dry run finds nothing to do."""
    return "Nothing to be done" in workflow.snakemake("-n", "--", *targets).stdout


@contextmanager
def held(workflow: Workflow, target: str, **options) -> Iterator[subprocess.Popen]:
    """Yield a run that is held; it ends with the block."""
    (workflow.folder / "hold").touch()
    try:
        with workflow.started("--cores", "1", "--", target, **options) as process:
            yield process
    finally:
        (workflow.folder / "hold").unlink(missing_ok=True)


def end_of(process: subprocess.Popen) -> list[str]:
    """Return the lines of a run that fails, at its end."""
    stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 1, stdout
    return lines_of(stdout)


def wait_for(state: Callable, process: subprocess.Popen):
    """Return what a state is, once it is anything, within two minutes and while a process runs."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if found := state():
            return found
        time.sleep(0.01)
    raise AssertionError(
        "it did not come to that" if process.poll() is None else process.communicate()[0]
    )


def held_training(workflow: Workflow, process: subprocess.Popen) -> psutil.Process:
    """Return the training of a held run, once it has a checkpoint."""
    wait_for(lambda: list(workflow.path("checkpoints").glob("[!.]*")), process)
    (training,) = processes(process, r"\.train\.py$")
    return training


def processes(process: subprocess.Popen, words: str) -> list[psutil.Process]:
    """Return the processes that a process has started, or these in turn, with words in their
    command; shells apart.
    """
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            command = child.cmdline()
        except psutil.Error:  # it has ended meanwhile
            continue
        if "-c" not in command and any(re.search(words, word) for word in command):
            found.append(child)
    return found


def gone(process: psutil.Process) -> bool:
    """Return whether a process ends by itself."""
    psutil.wait_procs([process], timeout=30)
    return not process.is_running()


def steps_of(workflow: Workflow) -> int:
    """Return how many steps the trainings of a run took, together."""
    return len((workflow.folder / "steps").read_text())


def spoil(path: Path, damage: str) -> None:
    """Cut off or garble a file in its middle, or cut off the end of its last line, at the time that
    it had.
    """
    before, content = path.stat(), path.read_bytes()
    middle = len(content) // 2
    garbage = bytes(byte ^ 0x55 for byte in content[middle : middle + 4096])
    garbled = content[:middle] + garbage + content[middle + len(garbage) :]
    path.write_bytes(
        {"cut off": content[:middle], "cut off in a row": content[:-3], "garbled": garbled}[damage]
    )
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# ---- killed


@pytest.fixture(scope="module")
def killed(whole, tmp_path_factory) -> Workflow:
    """A run whose training was killed after its first epoch, and its lines."""
    workflow = without(
        whole.copied(tmp_path_factory.mktemp("killed") / "run"), "results/runs/digits/a", "steps"
    )
    with held(workflow, WEIGHTS) as process:
        held_training(workflow, process).kill()
        workflow.lines = end_of(process)
    return workflow


@pytest.mark.workflow
def test_a_killed_training_is_named_and_goes_on_where_it_was(killed, whole, tmp_path):
    cause = "sclatent: train digits a 0 was ended by SIGKILL, by hand or because memory ran out"
    assert killed.lines == [f"{cause}; run the same command again, and it resumes where it was"]
    assert not list(killed.path("runs").rglob("*.*"))
    workflow = killed.copied(tmp_path / "run")
    made(workflow, WEIGHTS)
    assert steps_of(workflow) == steps_of(whole)
    assert contents(workflow) == contents(whole)
    assert list(workflow.path("checkpoints").iterdir()) == []


@pytest.mark.workflow
@pytest.mark.parametrize("damage", ["cut off", "garbled"])
def test_a_damaged_checkpoint_is_said_and_training_begins_anew(killed, whole, tmp_path, damage):
    workflow = killed.copied(tmp_path / "run")
    (checkpoint,) = workflow.path("checkpoints").iterdir()
    spoil(checkpoint, damage)
    (line,) = lines_of(made(workflow, WEIGHTS))
    name = re.escape(f"results/checkpoints/{checkpoint.name}")
    assert re.fullmatch(
        rf"train digits a 0: {name} is damaged \(.*\); training starts again from the beginning",
        line,
    )
    assert steps_of(workflow) == 5 / 4 * steps_of(whole), "an epoch of four was for nothing"
    assert contents(workflow) == contents(whole)
    assert list(workflow.path("checkpoints").iterdir()) == []


@pytest.mark.workflow
def test_a_training_that_is_killed_again_and_again_ends_in_the_same_bytes(run):
    """A real process, killed at three random moments, against one that was left alone."""
    command = [sys.executable, "scripts/train.py", "dataset=digits", "model=mixture", "seed=0"]
    checkpoints, results, rng, made = (
        run.path("checkpoints"),
        run.path("runs/digits/mixture/0"),
        random.Random(0),
        [],
    )
    for kills in (3, 0):
        for _ in range(kills):
            before = last_written(checkpoints)
            process = subprocess.Popen(command, cwd=run.folder, stderr=subprocess.DEVNULL)
            while process.poll() is None and last_written(checkpoints) == before:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.3))
            process.kill()
            assert process.wait() == -signal.SIGKILL, (
                "the training was over before it was killed; lengthen it"
            )
        done = subprocess.run(command, cwd=run.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        made.append({path.name: path.read_bytes() for path in results.iterdir()})
        shutil.rmtree(results)
        assert list(checkpoints.iterdir()) == []
    assert set(made[0]) == {"weights.safetensors", "run.json", "history.tsv"}
    assert made[0] == made[1]


def last_written(checkpoints: Path) -> int:
    """Return when the one checkpoint of a folder was written, 0 if there is none."""
    return max(
        (path.stat().st_mtime_ns for path in checkpoints.glob("digits.mixture.0.*")), default=0
    )


@pytest.mark.workflow
def test_a_killed_run_takes_its_jobs_with_it_and_is_taken_up_as_the_message_says(run, whole):
    without(run, "results/runs/digits/a")
    with held(run, WEIGHTS) as process:
        training = held_training(run, process)
        process.kill() if sys.platform == "linux" else os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert gone(training)
    (line,) = failed(run, WEIGHTS)
    assert line.startswith("sclatent: another run holds the results, or was killed while it did")
    unlock, again = re.search(
        r"(snakemake --unlock) && (snakemake --rerun-incomplete)$", line
    ).groups()
    assert run.snakemake(*unlock.split()[1:]).returncode == 0
    rerun = run.snakemake(*again.split()[1:], "--", WEIGHTS)
    assert rerun.returncode == 0, rerun.stdout
    assert contents(run) == contents(whole)


@pytest.mark.workflow
def test_a_killed_notebook_is_named_and_drawn_anew(run, whole):
    """Be it the process that runs its cells, or the job that waits for that."""
    folder = without(run, str(Path(FIGURE).parent)).folder / Path(FIGURE).parent
    name, log = (
        "figures s quality_control digits",
        "results/logs/figures/s/quality_control/digits.ipynb",
    )
    for words, said in (
        ("ipykernel_launcher", f"{name}: the process that runs the cells of {log} ended"),
        (r"\.figures\.py$", f"sclatent: {name} was ended by SIGKILL"),
    ):
        with held(run, FIGURE) as process:
            (kernel,) = wait_for(
                lambda process=process: processes(process, "ipykernel_launcher"), process
            )
            (victim,) = processes(process, words)
            victim.kill()
            (line,) = end_of(process)
            assert gone(kernel)
        assert line.startswith(said)
        assert line.endswith("memory ran out; run the same command again")
        assert not list(folder.glob("*"))
    made(run, FIGURE)
    assert contents(run) == contents(whole)


def test_a_log_tells_of_every_job_that_was_killed_and_of_no_other():
    job = (
        "Error in rule {0}:\n    message: None\n    log: results/logs/{0}/{1}.log (check log "
        "file(s) for error details)\n"
    )
    failure = "CalledProcessError in file x, line 1:\nCommand 'python tmp1.{}.py' {}.\n"
    log = (
        failure.format("encode", "returned non-zero exit status 1")
        + job.format("encode", "s/digits/a")
        + failure.format("train", "died with <Signals.SIGKILL: 9>")
        + failure.format("score", "returned non-zero exit status 139")
        + job.format("train", "digits/a/0")
        + job.format("score", "s/digits")
    )
    assert [line.partition(",")[0] for line in explain(log)] == [
        "train digits a 0 was ended by SIGKILL",
        "score s digits was ended by SIGSEGV",
    ]
    assert (
        explain(
            failure.format("train", "died with <Signals.SIGINT: 2>")
            + job.format("train", "digits/a/0")
        )
        == []
    )


def test_what_a_job_on_slurm_said_is_said_again(tmp_path):
    kept = tmp_path / "slurm_logs" / "rule_train" / "digits_a_0" / "3.log"
    kept.parent.mkdir(parents=True)
    job = "Error in rule train:\n    message: None\n    log: results/logs/train/digits/a/0.log{}"
    kept.write_text(
        f"Job 0: Training\ntrain digits a 0: device is "
        f"cuda\n{job.format(' (check log file(s) for details)')}\n"
    )
    elsewhere = f", {kept} (check log file(s) for error details)\n"
    assert explain(2 * job.format(elsewhere)) == ["train digits a 0: device is cuda"]


# ---- disks


class Disk:
    """A small disk in a folder of a run. Only commands that are started through it see it, and it
    goes with the block.
    """

    def __init__(self, workflow: Workflow, name: str, kilobytes: int):
        self.workflow, self.place, self.user = workflow, workflow.path(name), os.geteuid() != 0
        self.place.mkdir(parents=True, exist_ok=True)
        mount = f"mount -t tmpfs -o size={kilobytes}k disk '{self.place}' && echo mounted && cat"
        self.command = ["unshare", "--mount", *["--map-root-user"] * self.user, "sh", "-c", mount]

    def __enter__(self) -> "Disk":
        streams = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        }
        try:
            self.holder = subprocess.Popen(self.command, **streams)
        except FileNotFoundError:
            pytest.skip("needs unshare, of util-linux")
        if self.holder.stdout.readline() != "mounted\n":
            _, reason = self.holder.communicate()
            pytest.skip(f"needs the right to mount a disk: {reason.strip()}")
        return self

    def __exit__(self, *_) -> None:
        self.holder.communicate()  # without input its last process ends, and with it the disk

    @property
    def prefix(self) -> tuple[str, ...]:
        """What to put before a command that is to see the disk."""
        user = ["--user", "--preserve-credentials"] * self.user
        return (
            "nsenter",
            f"--target={self.holder.pid}",
            "--mount",
            *user,
            "env",
            f"--chdir={self.workflow.folder}",
        )

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        return self.workflow.snakemake(*arguments, prefix=self.prefix)

    def remount(self, option: str) -> None:
        subprocess.run(
            [*self.prefix, "mount", "-o", f"remount,bind,{option}", str(self.place)], check=True
        )

    def seen(self) -> Workflow:
        """Return the run as those commands see it."""
        workflow = copy.copy(self.workflow)
        workflow.folder = Path(f"/proc/{self.holder.pid}/root{self.workflow.folder}")
        return workflow

    def fill(self, left: int = 0) -> Path:
        """Use up all room but some bytes, and return the file that does."""
        room = self.seen().folder / self.place.relative_to(self.workflow.folder)
        filler = room / "filler"
        filler.write_bytes(bytes(shutil.disk_usage(room).free - left))
        return filler


@pytest.mark.workflow
def test_a_disk_that_is_full_while_a_matrix_is_written_is_named(run, whole):
    size = (run.folder / DATA).stat().st_size
    without(run, "results/data")
    with Disk(run, "data", 64_000) as disk:
        made(disk, "results/data/digits/counts.h5ad")
        filler = disk.fill(left=size // 2)
        place = "the disk of results/data/digits"
        cure = "make room there and run the same command again"
        assert failed(disk, DATA) == [f"preprocess digits: no room is left on {place}; {cure}"]
        filler.unlink()
        assert [path.name for path in disk.seen().path("data/digits").iterdir()] == ["counts.h5ad"]
        made(disk, DATA)
        assert contents(disk.seen()) == contents(whole)


@pytest.mark.workflow
def test_a_disk_that_is_full_while_weights_are_written_is_named(run, whole):
    size = (run.folder / WEIGHTS).stat().st_size
    without(run, "results/runs/digits/a")
    with Disk(run, "runs", 64_000) as disk:
        filler = disk.fill(left=size // 2)
        place = "the disk of results/runs/digits/a/0"
        cure = "make room there and run the same command again"
        assert failed(disk, WEIGHTS) == [f"train digits a 0: no room is left on {place}; {cure}"]
        filler.unlink()
        assert not list(disk.seen().path("runs").rglob("*.*"))
        made(disk, WEIGHTS)
        assert contents(disk.seen()) == contents(whole)


@pytest.mark.workflow
def test_a_training_goes_on_where_its_state_cannot_be_saved(run, whole):
    without(run, "results/runs/digits/a")
    with Disk(run, "checkpoints", 1000) as disk:
        disk.fill()
        (line,) = lines_of(made(disk, WEIGHTS))
    assert line.startswith(
        "train digits a 0: training goes on, but its state cannot be saved ([Errno 28] No "
        "space left on"
    )
    assert contents(run) == contents(whole)


@pytest.mark.workflow
def test_a_full_disk_ends_the_run_before_it_begins(run):
    without(run, "results")
    with Disk(run, "", 1000) as disk:
        cure = "make room there and run the same command again"
        assert failed(disk, DATA) == [f"sclatent: no room is left on the disk of 'results'; {cure}"]
        assert list(disk.seen().path("").iterdir()) == []


@pytest.mark.workflow
def test_results_that_cannot_be_written_end_the_run_at_once(workflow):
    results = workflow.path("")
    results.mkdir()
    results.chmod(0o555)
    (line,) = failed(workflow, DATA, prefix=AS_USER)
    results.chmod(0o755)
    assert line.startswith("sclatent: no permission to write to 'results'; change its permissions")


@pytest.mark.workflow
def test_a_file_in_the_place_of_results_is_named(workflow):
    workflow.path("").write_text("")
    (line,) = failed(workflow, DATA)
    assert line.startswith("sclatent: 'results' is a file")


@pytest.mark.workflow
def test_results_that_can_no_longer_be_written_fail_the_job(run, whole):
    without(run, "results/runs/digits/a")
    with Disk(run, "runs", 64_000) as disk, held(run, WEIGHTS, prefix=disk.prefix) as process:
        held_training(run, process)
        disk.remount("ro")
        (run.folder / "hold").unlink()
        cure = "mount it so that it can be written to and run the same command again"
        assert end_of(process) == [
            f"train digits a 0: the disk of results/runs/digits/a/0 can only be read; {cure}",
            f"sclatent: a disk can only be read; {cure}",  # Snakemake stumbles over it, too
        ]
        disk.remount("rw")
        assert not list(disk.seen().path("runs").rglob("*.*"))
        made(disk, WEIGHTS)
        assert contents(disk.seen()) == contents(whole)


@pytest.mark.workflow
def test_a_log_that_cannot_be_written_fails_the_job_in_lines_too(run):
    name = "datasets/data/digits.csv.gz"
    file, log = f"results/files/{name}", f"results/logs/fetch/{name}.log"
    before = (run.folder / file).read_bytes()
    folder = without(run, file, log).folder / Path(log).parent
    folder.chmod(0o555)
    lines = failed(run, file, prefix=AS_USER)
    folder.chmod(0o755)
    cure = "change their permissions and run the same command again"
    assert lines == [
        f"fetch {name}: no permission for {log}; change its permissions and run the same "
        f"command again",
        # Snakemake stumbles over it, too
        f"sclatent: files or folders may not be written to; {cure}",
    ]
    made(run, file)
    assert (run.folder / file).read_bytes() == before


# ---- two runs


@pytest.mark.workflow
def test_a_second_run_in_one_folder_ends_at_once_and_disturbs_nothing(run, whole):
    without(run, "results/runs/digits/a")
    with held(run, WEIGHTS) as process:
        held_training(run, process)
        (line,) = failed(run, WEIGHTS)
        assert line.startswith(
            "sclatent: another run holds the results, or was killed while it did; wait for it "
            "to end"
        )
        (run.folder / "hold").unlink()
        stdout, _ = process.communicate(timeout=120)
    assert process.returncode == 0, stdout
    assert contents(run) == contents(whole)


# ---- damaged files

AGAIN = "delete it and run the same command again"


@pytest.mark.workflow
def test_a_damaged_run_is_named_and_trained_anew(run, whole):
    without(run, LATENTS)
    spoil(run.folder / WEIGHTS, "garbled")
    cure = "delete both and run the same command again"
    assert failed(run, LATENTS) == [
        f"encode s digits a: {WEIGHTS} does not hold what {RECORD} describes; {cure}"
    ]
    without(run, WEIGHTS, RECORD)
    made(run, LATENTS)
    assert contents(run) == contents(whole)


@pytest.mark.workflow
def test_a_damaged_record_of_a_run_is_named(run):
    spoil(run.folder / RECORD, "cut off")
    with pytest.raises(
        UserError, match=rf"run\.json is not a whole record of a run \(.*\); {AGAIN}"
    ):
        read_record(run.folder / RECORD)


@pytest.mark.workflow
def test_a_damaged_matrix_that_is_newer_than_what_was_made_of_it_is_named_and_made_anew(run, whole):
    spoil(run.folder / DATA, "cut off")
    os.utime(run.folder / DATA)
    (line,) = failed(run, WEIGHTS)
    assert re.fullmatch(
        rf"train digits a 0: {DATA} is not a whole \.h5ad file \(.*\); {AGAIN}", line
    )
    without(run, DATA)
    made(run, WEIGHTS)
    assert contents(run) == contents(whole)


@pytest.mark.workflow
def test_a_damaged_matrix_and_a_damaged_table_of_the_same_time_are_named_and_made_anew(run, whole):
    without(run, LATENTS, FIGURE)
    spoil(run.folder / DATA, "garbled")
    spoil(run.folder / TABLE, "cut off in a row")
    of_matrix, of_table = sorted(failed(run, LATENTS, FIGURE))
    assert re.fullmatch(
        rf"encode s digits a: {DATA} is not a whole \.h5ad file \(.*\); {AGAIN}", of_matrix
    )
    reason = "its rows are not those that were written"
    assert (
        of_table
        == f"figures s quality_control digits: {TABLE} is not a whole table ({reason}); {AGAIN}"
    )
    without(run, DATA, TABLE)
    made(run, LATENTS, FIGURE)
    assert contents(run) == contents(whole)


# ---- clocks


def in_days(path: Path, days: int) -> None:
    """Stamp a file some days from now."""
    then = time.time() + days * 24 * 3600
    os.utime(path, (then, then))


@pytest.mark.workflow
def test_a_clock_that_is_set_back_during_a_run_is_named(run, whole):
    without(run, "results/runs/digits/a")
    with held(run, WEIGHTS) as process:
        held_training(run, process)
        in_days(run.folder / DATA, 1)  # when it was made, seen from a clock that is a day behind
        (run.folder / "hold").unlink()
        cure = "when it is right, touch the input that Snakemake names above"
        cure += ", and run the same command again"
        assert end_of(process) == [f"sclatent: the clock was moved during the run; {cure}"]
    os.utime(run.folder / DATA)
    made(run, WEIGHTS)
    assert contents(run) == contents(whole)


# ---- results of other code


@pytest.mark.workflow
def test_what_code_says_decides_and_not_when_it_was_written(run):
    code = run.folder / "scripts" / "sclatent" / "models" / "ae.py"
    in_days(code, 1)
    assert nothing_to_do(run, LATENTS)
    code.write_text(code.read_text() + "\nCHANGED = True\n")
    in_days(code, -9000)
    assert not nothing_to_do(run, WEIGHTS)
    assert nothing_to_do(run, DATA)


@pytest.mark.workflow
def test_results_of_another_version_are_made_again(run):
    module = run.folder / "scripts" / "sclatent" / "__init__.py"
    module.write_text(module.read_text().replace(__version__, "0.0.1"))
    assert not nothing_to_do(run, DATA)


@pytest.mark.workflow
def test_results_without_records_of_their_making_are_not_trusted_unasked(run):
    without(run, ".snakemake")
    (line,) = failed(run, LATENTS)
    assert line.startswith("sclatent: how 'results' was made is not recorded in '.snakemake'")
    again, trust = re.search(
        r"again: (rm .*); to trust .*: (mkdir .* && cp .*); then", line
    ).groups()
    without(run, ".snakemake")
    subprocess.run(trust, shell=True, cwd=run.folder, check=True)
    assert nothing_to_do(run, LATENTS)
    subprocess.run(again, shell=True, cwd=run.folder, check=True)
    assert not nothing_to_do(run, LATENTS)


def test_records_belong_to_the_results_that_have_their_stamp(tmp_path):
    results, state, other = (tmp_path / name for name in ("results", "state", "other"))
    check_records(results, state)  # there is nothing to doubt yet
    stamp_records(results, state)
    check_records(results, state)
    stamp_records(other, state)
    with pytest.raises(UserError, match="is not recorded in"):
        check_records(results, state)
    (other / STAMP).write_text("damaged")
    with pytest.raises(UserError, match="is not recorded in"):
        check_records(other, state)
