"""Running a notebook from a template with parameters."""

import logging
import os
from pathlib import Path

import papermill

from sclatent.common.errors import UserError

logger = logging.getLogger(__name__)


def execute(template: str | Path, executed: str | Path, parameters: dict, library: Path) -> None:
    """Run a template in the interpreter that runs now and write the executed notebook, which stays when a cell fails.

    parameters: JSON-ready values that replace those of the cell tagged "parameters". library: folder on the path of the
    notebook's imports. Raises RuntimeError where a cell fails, whose text is logged, and UserError where a cell raises one or the
    process that runs the cells is killed.
    """
    Path(executed).parent.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(library), os.environ.get("PYTHONPATH")])
    )
    os.environ["JUPYTER_PREFER_ENV_PATH"] = (
        "1"  # the kernel of this interpreter, whatever else is registered as python3
    )
    try:
        papermill.execute_notebook(
            str(template),
            str(executed),
            parameters=parameters,
            kernel_name="python3",
            progress_bar=False,
        )
    except RuntimeError as error:
        cause = f"the process that runs the cells of {executed} ended ({error}), killed by hand or because memory ran out"
        raise UserError(f"{cause}; run the same command again") from error
    except papermill.PapermillExecutionError as error:
        if error.ename == UserError.__name__:
            raise UserError(error.evalue) from error
        logger.info("the cell that failed:\n%s", error.source)
        raise RuntimeError(
            f"cell {error.exec_count} of {executed} failed: {error.ename}: {error.evalue}"
        ) from error
