"""Running the notebook of a figure, made from the template that all figures share."""

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

import papermill
from papermill.iorw import load_notebook_node, write_ipynb

from sclatent.common.errors import UserError

logger = logging.getLogger(__name__)


def fill(
    template: str | Path,
    notebook: str | Path,
    figure: str,
    title: str,
    question: str,
    arguments: Iterable[str],
) -> None:
    """Fill in the template of a notebook and write the notebook.

    Parameters
    ----------
    template
        A notebook with the words $figure, $title, $question, $defaults (an assignment per argument)
        and $arguments (as they stand in the call).
    notebook
        Where to write it.
    figure
        Module of `sclatent.figures` whose `draw` is called.
    title, question
        The words above the figure.
    arguments
        Names of the arguments of `draw`.
    """
    names = list(arguments)
    words = {
        "figure": figure,
        "title": title,
        "question": question,
        "defaults": "\n".join(f"{name} = None" for name in names),
        "arguments": ", ".join(f"{name}={name}" for name in names),
    }
    node = load_notebook_node(str(template))
    for cell in node.cells:
        cell.source = Template(cell.source).substitute(words)
    Path(notebook).parent.mkdir(parents=True, exist_ok=True)
    write_ipynb(node, str(notebook))


def execute(
    notebook: str | Path,
    executed: str | Path,
    parameters: Mapping[str, Any],
    library: Path,
) -> None:
    """Run a notebook in the interpreter that runs now, and write it with its outputs.

    If a cell fails, the executed notebook is kept and the text of the cell is logged.

    Parameters
    ----------
    notebook
        The notebook.
    executed
        Where to write it; may be the same path.
    parameters
        Values, ready for JSON, that replace those of the cell tagged "parameters".
    library
        Folder that the notebook can import from.

    Raises
    ------
    UserError
        If a cell raises one, or the process that runs the cells is killed.
    RuntimeError
        If a cell fails otherwise.
    """
    Path(executed).parent.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(library), os.environ.get("PYTHONPATH")])
    )
    # The kernel of this interpreter, even if another one is registered as python3.
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    try:
        papermill.execute_notebook(
            str(notebook),
            str(executed),
            parameters=dict(parameters),
            kernel_name="python3",
            progress_bar=False,
        )
    except RuntimeError as error:
        raise UserError(
            f"the process that runs the cells of {executed} ended ({error}), because it was killed "
            "or memory ran out; run the same command again"
        ) from error
    except papermill.PapermillExecutionError as error:
        if error.ename == UserError.__name__:
            raise UserError(error.evalue) from error
        logger.info("the cell that failed:\n%s", error.source)
        raise RuntimeError(
            f"cell {error.exec_count} of {executed} failed: {error.ename}: {error.evalue}"
        ) from error
