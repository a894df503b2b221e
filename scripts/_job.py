"""How a script meets the workflow: its log, its errors, its provenance.

Outside of a run, a stand-in takes the place of the object `snakemake`. A script imports at its top
only what every one of its jobs needs, because each job waits for these imports.
"""

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


class JobOutput:
    """Where the output of this process goes: to the terminal or, in a job, to the rule's log.

    Attributes
    ----------
    terminal
        A stream that reaches the terminal even after `redirect`; None before it.
    """

    def __init__(self):
        self.terminal: TextIO | None = None

    def redirect(self, log: str, job: str) -> None:
        """Send standard output and error to a log.

        Warnings of the library go to the log and to the terminal.

        Parameters
        ----------
        log
            Path of the log.
        job
            What messages on the terminal call the job.
        """
        self.terminal = os.fdopen(os.dup(2), "w")
        # If the log cannot be opened, output still has the null device to go to.
        for target in (os.devnull, log):
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(file, 1)
            os.dup2(file, 2)
        logging.basicConfig(
            level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr
        )
        warnings = logging.StreamHandler(self.terminal)
        warnings.setLevel(logging.WARNING)
        warnings.setFormatter(_Printable(f"{job}: %(message)s"))
        logging.getLogger("sclatent").addHandler(warnings)

    def fail(self, error: Exception, log: str, job: str) -> NoReturn:
        """End the process: one line on the terminal, the traceback in the log, exit code 1."""
        expected = error if isinstance(error, UserError) else fault_of_disk(error)
        cause = str(expected or f"{type(error).__name__}: {error}; traceback in {log}")
        line = f"{job}: {printable(' '.join(cause.split()))}"
        print(line, file=self.terminal or sys.stderr, flush=True)
        with suppress(OSError):  # the log may be on a full disk
            traceback.print_exception(error)
            sys.stdout.flush()
        # sys.exit would let HDF5 close its files, and it crashes if the disk of one is full.
        os._exit(1)


class _Printable(logging.Formatter):
    """Writes one line without control characters, whatever names the message quotes."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


OUTPUT = JobOutput()


def run(main: Callable) -> None:
    """Call main(snakemake) with the object of this process's job.

    In a job, output and tracebacks go to the rule's log. The terminal gets the warnings of the
    library and, for an error, one line; the exit code is then 1. Started from the command line, the
    script gets a stand-in for the object.
    """
    script = sys.modules["__main__"]
    snakemake = getattr(script, "snakemake", None)
    if snakemake is None:
        from _standin import stand_in

        try:
            return main(stand_in(Path(str(script.__file__)).stem, sys.argv[1:]))
        except UserError as error:
            sys.exit(str(error))
    job = " ".join([snakemake.rule, *snakemake.wildcards])
    try:
        OUTPUT.redirect(snakemake.log[0], job)
        main(snakemake)
        sys.stdout.flush()
    except Exception as error:
        OUTPUT.fail(error, snakemake.log[0], job)


def provenance(
    snakemake,
    inputs: Iterable[str] | None = None,
    seed: int | None = None,
    device: str = "cpu",
    loaded: Iterable[Path] = (),
) -> dict:
    """Describe where the output of a job comes from.

    Parameters
    ----------
    snakemake
        The object of the job.
    inputs
        Paths of the data behind the output. None for all inputs of the rule; a script gives them
        only if an output comes from fewer.
    seed
        Seed of the random choices, if the job has one of its own.
    device
        Name of the device that computed.
    loaded
        Modules that the script loads by name. The packages that they import are recorded, too.

    Returns
    -------
    dict
        As `sclatent.io.provenance.describe`.

    Notes
    -----
    The parameter `code` of the rule is among the settings: the digest of the script, of the library
    modules that it imports, and of what else it loads by name.
    """
    script = getattr(sys.modules["__main__"], "__file__", None)
    return describe(
        step=snakemake.rule,
        settings={
            "wildcards": dict(snakemake.wildcards.items()),
            "params": dict(snakemake.params.items()),
        },
        inputs=_data(snakemake.input) if inputs is None else inputs,
        code=[] if script is None else map(str, code_of([Path(script), *loaded])),
        seed=seed,
        threads=snakemake.params.get("threads"),
        device=device,
    )


def terminal() -> TextIO:
    """Return a stream that reaches the terminal, in a job or alone."""
    return OUTPUT.terminal or sys.stderr


def _data(files) -> list[str]:
    """Return all inputs of a rule."""
    paths = []
    for _, value in files.items():  # its lists of files have no `values`
        paths += value if isinstance(value, list) else [value]
    return paths


def _end_with_snakemake() -> None:
    """Make the system kill this job if the Snakemake that started it ends in any way."""
    if sys.platform == "linux" and hasattr(sys.modules["__main__"], "snakemake"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


_end_with_snakemake()
