"""How a script meets the workflow: its log, its errors, its provenance, and a stand-in for `snakemake` outside of a run."""

import ctypes
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TextIO

from sclatent.common.errors import UserError, fault_of_disk, printable
from sclatent.io.imports import code_of
from sclatent.io.provenance import describe

PR_SET_PDEATHSIG = 1  # of Linux's prctl
_TERMINAL = None  # where standard error went before it was sent to the log

# A job ends with the Snakemake that started it, even if that is killed. Set before what takes seconds to import.
if sys.platform == "linux" and hasattr(sys.modules["__main__"], "snakemake"):
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def run(main: Callable) -> None:
    """Call main(snakemake) with the object of the job that this process is, or with a stand-in made from the command line.

    In a job, all that is printed and every traceback goes to the rule's log; the terminal gets the library's warnings and, for
    an error, one line and the exit code 1.
    """
    script = sys.modules["__main__"]
    snakemake = getattr(script, "snakemake", None)
    if snakemake is None:
        from _standin import stand_in

        try:
            return main(stand_in(Path(script.__file__).stem, sys.argv[1:]))
        except UserError as error:
            sys.exit(str(error))
    try:
        _redirect_output(snakemake.log[0], _name(snakemake))
        main(snakemake)
        sys.stdout.flush()
    except Exception as error:
        _give_up(snakemake, error)


def provenance(
    snakemake, inputs: Iterable[str], seed: int | None = None, device: str = "cpu"
) -> dict:
    """Return the provenance of what a job writes from input files; call it when the work is done.

    The parameter `code` of the rule, which is among the settings, is the digest of the script, of
    the library modules that it imports, and of what else it loads by name.
    """
    script = getattr(sys.modules["__main__"], "__file__", None)
    return describe(
        step=snakemake.rule,
        settings={
            "wildcards": dict(snakemake.wildcards.items()),
            "params": dict(snakemake.params.items()),
        },
        inputs=inputs,
        code=[] if script is None else map(str, code_of([Path(script)])),
        seed=seed,
        threads=snakemake.params.get("threads"),
        device=device,
    )


def terminal() -> TextIO:
    """Return a stream that reaches the terminal, in a job or alone."""
    return _TERMINAL or sys.stderr


def _name(snakemake) -> str:
    """Return what a job is called on the terminal: its rule and its wildcards."""
    return " ".join([snakemake.rule, *snakemake.wildcards])


def _give_up(snakemake, error: Exception) -> NoReturn:
    """Say in one line on the terminal what went wrong, leave the traceback in the log and end the process."""
    expected = error if isinstance(error, UserError) else fault_of_disk(error)
    cause = (
        str(expected)
        if expected
        else f"{type(error).__name__}: {error}; traceback in {snakemake.log[0]}"
    )
    print(f"{_name(snakemake)}: {printable(' '.join(cause.split()))}", file=terminal(), flush=True)
    with suppress(OSError):  # the log may be on a disk that is full
        traceback.print_exception(error)
        sys.stdout.flush()
    os._exit(1)  # not sys.exit: HDF5 crashes where it closes a file that found no room on its disk


def _redirect_output(log: str, name: str) -> None:
    """Send standard output and error of this process to a log; warnings of the library go to the terminal, too."""
    global _TERMINAL
    _TERMINAL = os.fdopen(os.dup(2), "w")
    for target in (os.devnull, log):  # the first in case that the second cannot be opened
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, 1)
        os.dup2(file, 2)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    said = logging.StreamHandler(_TERMINAL)
    said.setLevel(logging.WARNING)
    said.setFormatter(_Printable(f"{name}: %(message)s"))
    logging.getLogger("sclatent").addHandler(said)


class _Printable(logging.Formatter):
    """Writes one line, whatever the names in it are."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
