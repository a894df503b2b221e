"""What a run that failed leaves unsaid: jobs that were killed, a disk that is full, a clock that was moved."""

import logging
import re
import signal

_ENDED = re.compile(r"(?:died with <Signals\.(?P<signal>\w+): |returned non-zero exit status (?P<status>\d+)\b)")
_JOB = re.compile(r"^ *Error in rule \w+:$.*?^ *log: (?:results/logs/)?(?P<log>[^\s,]+)\.log\b", re.MULTILINE | re.DOTALL)
AGAIN = "run the same command again"
# What Snakemake itself says of faults that are not of a job, and what to say instead.
FAULTS = {
    "No space left on device": f"no room is left on a disk; make room and {AGAIN}",
    "Disk quota exceeded": f"the quota on a disk is used up; make room and {AGAIN}",
    "Read-only file system": f"a disk can only be read; mount it so that it can be written to and {AGAIN}",
    "Permission denied": f"files or folders may not be written to; change their permissions and {AGAIN}",
    "has older modification time": f"the clock was moved during the run; when it is right, {AGAIN}",
}


def explain(log: str) -> list[str]:
    """Return, a line each, which jobs were killed and which faults the machine had, with the cure.

    log: what Snakemake logged of the run; what a job says itself is not in there.
    """
    lines, place = [], 0
    for ended in _ENDED.finditer(log):
        name = _signal(ended)
        job = _JOB.search(log, max(place, ended.end()))
        if name is None or job is None:
            continue
        place = job.end()
        killed = f"{job['log'].replace('/', ' ')} was ended by {name}, by hand or because memory ran out"
        lines.append(f"{killed}; {AGAIN}" + ", and it goes on where it was" * job["log"].startswith("train/"))
    return list(dict.fromkeys(lines)) + [cure for words, cure in FAULTS.items() if words in log]


def in_words(record: logging.LogRecord) -> bool:
    """Filter of Snakemake's log: say a fault of the machine that Snakemake stumbles over in a line, not by a traceback."""
    text = record.getMessage()
    cures = [cure for words, cure in FAULTS.items() if words in text]
    if cures and "Traceback" in text:
        record.msg, record.args = "\n".join(f"sclatent: {cure}" for cure in cures), None
    return True


def _signal(ended: re.Match) -> str | None:
    """Return the name of the signal that ended a job, None where it ended by itself or because the user stopped the run."""
    name = ended["signal"] or next((s.name for s in signal.Signals if s + 128 == int(ended["status"])), None)
    return None if name == "SIGINT" else name
