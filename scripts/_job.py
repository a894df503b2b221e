"""How a script meets the workflow: its log, its errors, its provenance, and a stand-in for `snakemake` outside of a run."""

import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

from sclatent.errors import UserError
from sclatent.provenance import describe


def run(main: Callable) -> None:
    """Call main(snakemake) with the object of the job that this process is, or with a stand-in made from the command line.

    In a job, all that is printed and every traceback goes to the rule's log; the terminal gets one line and the exit code 1.
    """
    script = sys.modules["__main__"]
    snakemake = getattr(script, "snakemake", None)
    if snakemake is None:
        from _standin import stand_in

        try:
            return main(stand_in(Path(script.__file__).stem, sys.argv[1:]))
        except UserError as error:
            sys.exit(str(error))
    terminal = _redirect_output(snakemake.log[0])
    try:
        main(snakemake)
    except Exception as error:
        traceback.print_exc()
        unexpected = not isinstance(error, UserError)
        cause = f"{type(error).__name__}: {error}; traceback in {snakemake.log[0]}" if unexpected else str(error)
        terminal.write(f"{snakemake.rule}: {' '.join(cause.split())}\n")
        terminal.flush()
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


def _redirect_output(log: str):
    """Send standard output and error of this process to a log and return a stream that still reaches the terminal."""
    terminal = os.fdopen(os.dup(2), "w")
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(file, 1)
    os.dup2(file, 2)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    return terminal
