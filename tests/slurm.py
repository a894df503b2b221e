"""A Slurm of one private node on this machine, for tests: controller, node and munge as processes
of our own.

The node has a counted GPU that is none. A job that takes more memory than it asked for is killed
within a second or two. There is no database of past jobs, so what became of a job is read from
the controller, which remembers it for a day.
"""

import os
import re
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "squeue", "scontrol", "sinfo")
SEARCHED = f"{os.environ['PATH']}:/usr/sbin:/sbin"  # daemons lie where users do not look
# What Snakemake is told: jobs are asked after by squeue, since there is no database of accounts and
# of past jobs.
ALONE = [
    "--slurm-no-account",
    "--slurm-status-command",
    "squeue",
    "--slurm-init-seconds-before-status-checks",
    "2",
]
SYSTEM = Path(
    "/etc/slurm"
)  # where Slurm's commands look by themselves; a job's own steps do not inherit SLURM_CONF

CONFIGURATION = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
ReturnToService=2
MinJobAge=86400
KillWait=1
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes={host} MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Return why there can be no Slurm here, or None."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]
    if absent:
        return (
            f"needs Slurm: {', '.join(absent)} not found (Debian: apt-get install slurm-wlm munge)"
        )
    if os.geteuid() != 0:
        return "needs root, as whom a Slurm of one's own can start the jobs of its users"
    if (SYSTEM / "slurm.conf").exists():
        return f"this machine has a Slurm of its own: {SYSTEM / 'slurm.conf'}"
    return None


class Slurm:
    """A cluster in a folder, from `with` to its end, however that comes."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.processes: list[subprocess.Popen] = []

    def __enter__(self) -> "Slurm":
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._ready():
            self.command("scancel", "--signal=KILL", "--full", f"--user={os.getuid()}")
            self.command("scancel", f"--user={os.getuid()}")
            deadline = time.monotonic() + 30
            while self.command("squeue", "--noheader") and time.monotonic() < deadline:
                time.sleep(0.1)
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in ("slurm.conf", "gres.conf"):
            link = SYSTEM / name
            if link.is_symlink() and link.readlink() == self.folder / name:
                link.unlink()

    def jobs(self) -> list[dict[str, str]]:
        """Return all jobs that the controller knows, first to last, by the names that scontrol
        gives their properties.
        """
        records = self.command("scontrol", "--oneliner", "show", "jobs").splitlines()
        return [
            dict(re.findall(r"(\S+?)=(.*?)(?= \S+?=|$)", record))
            for record in records
            if record.startswith("JobId=")
        ]

    def command(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def _start(self) -> None:
        host = socket.gethostname().partition(".")[0]
        munge = self.folder / "munge"
        for folder in (munge, self.folder / "state", self.folder / "spool"):
            folder.mkdir(parents=True)
        munge.chmod(0o711)
        key = munge / "key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        files = {
            "socket": "socket",
            "pid-file": "pid",
            "log-file": "log",
            "seed-file": "seed",
            "key-file": "key",
        }
        options = [f"--{option}={munge / name}" for option, name in files.items()]
        self._run("munged", "--foreground", "--force", *options)
        with socket.socket() as one, socket.socket() as other:
            for listener in (one, other):
                listener.bind(("127.0.0.1", 0))
            ports = {"controller_port": one.getsockname()[1], "node_port": other.getsockname()[1]}
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 9 // 10
        text = CONFIGURATION.format(
            folder=self.folder, host=host, cpus=os.cpu_count(), memory=memory, **ports
        )
        device = self.folder / "gpu0"
        device.touch()
        written = {
            "slurm.conf": text,
            "gres.conf": f"Name=gpu Count=1 File={device}\n",
            "cgroup.conf": "CgroupAutomount=no\n",
        }
        SYSTEM.mkdir(exist_ok=True)
        for name, content in written.items():
            (self.folder / name).write_text(content)
        for name in ("slurm.conf", "gres.conf"):
            (SYSTEM / name).symlink_to(self.folder / name)
        self._run("slurmctld", "-D", "-c", "-f", str(self.folder / "slurm.conf"))
        self._run("slurmd", "-D", "-N", host, "-f", str(self.folder / "slurm.conf"))
        deadline = time.monotonic() + 60
        while not self._ready():
            if time.monotonic() > deadline:
                logs = {path.name: path.read_text()[-500:] for path in self.folder.glob("*.log")}
                raise TimeoutError(f"the node of Slurm did not come up; logs: {logs}")
            time.sleep(0.1)

    def _ready(self) -> bool:
        answer = subprocess.run(
            ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False
        )
        return any(state in answer.stdout for state in ("idle", "mixed", "allocated"))

    def _run(self, program: str, *arguments: str) -> None:
        with open(self.folder / f"{program}.out", "wb") as out:
            command = [shutil.which(program, path=SEARCHED), *arguments]
            # A session of its own: Control-C in a test ends the test first, and that ends these.
            self.processes.append(
                subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
            )
