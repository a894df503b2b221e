"""What a failed run leaves unsaid: killed jobs, a full disk, a moved clock, jobs on Slurm."""

import logging
import re
import signal
import textwrap
from pathlib import Path

_ENDED = re.compile(
    r"(?:died with <Signals\.(?P<signal>\w+): |returned non-zero exit status (?P<status>\d+)\b)"
)
_JOB = re.compile(
    r"^ *Error in rule \w+:$.*?^ *log: (?:results/logs/)?(?P<log>[^\s,]+)\.log\b",
    re.MULTILINE | re.DOTALL,
)
# Where Snakemake names the log that Slurm kept of a job that failed.
_ON_SLURM = re.compile(r"^ *log: .*?(/\S+/slurm_logs/\S+\.log)\b", re.MULTILINE)
# How Snakemake quotes a UserError that an input function raised.
_USER_ERROR = re.compile(r"^ *UserError: (?P<text>.+)$", re.MULTILINE)
AGAIN = "run the same command again"
# How Snakemake explains a job, and what to say instead: the values themselves can fill pages.
REASONS = {
    r"Params have changed since last execution: .*": "Its settings or its code have changed",
    r"Set of input files has changed since last execution: .*": "Its set of input files has "
    "changed",
}
LONGEST_REASON = 300  # characters
LOCKED = (
    "another run holds the results, or was killed while it did; wait for it to end, or if none is "
    "running, with the options of that run: snakemake --unlock && snakemake --rerun-incomplete"
)
# What Snakemake says if it meets a fault of the machine itself, and what to say instead.
FAULTS = {
    "No space left on device": f"no room is left on a disk; make room and {AGAIN}",
    "Disk quota exceeded": f"the quota on a disk is used up; make room and {AGAIN}",
    "Read-only file system": (
        f"a disk can only be read; mount it so that it can be written to and {AGAIN}"
    ),
    "Permission denied": (
        f"files or folders may not be written to; change their permissions and {AGAIN}"
    ),
    "has older modification time": (
        "the clock was moved during the run; when it is right, touch the input that Snakemake "
        f"names above, and {AGAIN}"
    ),
}


def explain(log: str) -> list[str]:
    """Explain which jobs were killed and which faults the machine had.

    Parameters
    ----------
    log
        What Snakemake logged. It does not hold what a job itself printed. Words of a job on Slurm
        do not reach the terminal either, so they are read from the logs that Slurm kept.

    Returns
    -------
    list of str
        A line per job or fault, with its cure.
    """
    lines, place = [], 0
    for path in dict.fromkeys(_ON_SLURM.findall(log)):
        lines += _lines_on_slurm(Path(path).read_text(errors="replace"))
    for ending in _ENDED.finditer(log):
        name = _signal(ending)
        job = _JOB.search(log, max(place, ending.end()))
        if name is None or job is None:
            continue
        place = job.end()
        title = job["log"].replace("/", " ")
        line = f"{title} was ended by {name}, by hand or because memory ran out; {AGAIN}"
        if title.startswith("train "):
            line += ", and it resumes where it was"
        lines.append(line)
    return list(dict.fromkeys(lines)) + [cure for words, cure in FAULTS.items() if words in log]


def in_words(record: logging.LogRecord) -> bool:
    """Rewrite a message of Snakemake's log that a user cannot act on; a filter of that log.

    A mistake of the user that an input function reports, a lock, and a fault of the machine become
    one line each, without a traceback.
    """
    if reason := getattr(record, "reason", None):
        record.reason = _short(str(reason))
    text = record.getMessage()
    if mistake := _USER_ERROR.search(text):
        lines = [mistake["text"]]
    elif "Directory cannot be locked" in text:
        lines = [LOCKED]
    elif "Traceback" in text:
        lines = [cure for words, cure in FAULTS.items() if words in text]
    else:
        lines = []
    if lines:
        record.msg, record.args = "\n".join(f"sclatent: {line}" for line in lines), None
    return True


def _short(reason: str) -> str:
    """Return Snakemake's reason for a job without the values and files that it lists."""
    for pattern, words in REASONS.items():
        reason = re.sub(pattern, words, reason)
    return textwrap.shorten(reason, LONGEST_REASON, placeholder=" ...")


def _lines_on_slurm(log: str) -> list[str]:
    """Return what jobs printed before they failed, and what `explain` says of their log."""
    jobs = {job["log"].replace("/", " ") for job in _JOB.finditer(log)}
    return [line for line in log.splitlines() if line.partition(": ")[0] in jobs] + explain(log)


def _signal(ending: re.Match) -> str | None:
    """Return the signal that ended a job; None if no signal did, or if the user stopped the run."""
    name = ending["signal"]
    if name is None:
        codes = {128 + known: known.name for known in signal.Signals}
        name = codes.get(int(ending["status"]))
    return None if name == "SIGINT" else name
