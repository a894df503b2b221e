"""How a script meets the workflow: its log, its errors, its provenance, and a stand-in for `snakemake` outside of a run."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from sclatent.errors import UserError
from sclatent.provenance import describe

_TERMINAL = None  # where standard error went before it was sent to the log


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
    _redirect_output(snakemake.log[0], _name(snakemake))
    try:
        main(snakemake)
    except Exception as error:
        traceback.print_exc()
        unexpected = not isinstance(error, UserError)
        cause = f"{type(error).__name__}: {error}; traceback in {snakemake.log[0]}" if unexpected else str(error)
        print(f"{_name(snakemake)}: {' '.join(cause.split())}", file=terminal(), flush=True)
        sys.exit(1)


def provenance(snakemake, inputs: Iterable[str], seed: int | None = None, device: str = "cpu") -> dict:
    """Return the provenance of what a job writes from the given input files; call it when the work is done."""
    return describe(
        step=snakemake.rule,
        settings={"wildcards": dict(snakemake.wildcards.items()), "params": dict(snakemake.params.items())},
        inputs=inputs,
        code=snakemake.input.code,
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


def _redirect_output(log: str, name: str) -> None:
    """Send standard output and error of this process to a log; warnings of the library go to the terminal, too."""
    global _TERMINAL
    _TERMINAL = os.fdopen(os.dup(2), "w")
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    said = logging.StreamHandler(_TERMINAL)
    said.setLevel(logging.WARNING)
    said.setFormatter(logging.Formatter(f"{name}: %(message)s"))
    logging.getLogger("sclatent").addHandler(said)
