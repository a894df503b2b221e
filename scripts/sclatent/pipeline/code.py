"""The digest of the code that a job runs: a parameter of its rule.

Snakemake runs a job again if a parameter has changed. So a change in a script, or in a module that
the script imports, reruns what that code made, whatever the times of the files say. Comments,
docstrings and descriptions of settings cannot change a result, so they are left out.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

from sclatent import __version__
from sclatent.io.contracts import MATRICES, TABLES, fingerprint
from sclatent.io.imports import LIBRARY, code_of

SCRIPTS = LIBRARY.parent


def code_digest(script: str, *others: Path) -> str:
    """Return the digest of a script and of all that it rests on.

    Parameters
    ----------
    script
        Name of the script in `scripts/`, without `.py`.
    others
        Files that the script loads by name, such as those of a model family.

    Returns
    -------
    The first 16 hexadecimal digits of a SHA-256 over the version of sclatent; the code of the
    script, of the others, and of the library modules that they import, directly or not; and the
    form of the kinds of files that the script names.
    """
    path = SCRIPTS / f"{script}.py"
    starts = [path, *others]
    contracts = fingerprint(*_kinds_in(path, path.stat().st_mtime_ns))
    digest = hashlib.sha256(f"{__version__}\n{contracts}\n".encode())
    # Sorted by content, so that the digest does not depend on where the project is.
    contents = [_digest_of(path, path.stat().st_mtime_ns) for path in {*starts, *code_of(starts)}]
    digest.update("\n".join(sorted(contents)).encode())
    return digest.hexdigest()[:16]


@cache
def _kinds_in(script: Path, mtime: int) -> list[str]:
    """Return the kinds of files that a script names: it reads or writes them."""
    nodes = ast.walk(ast.parse(script.read_text()))
    texts = {str(node.value) for node in nodes if isinstance(node, ast.Constant)}
    return sorted(texts & {*MATRICES, *TABLES})


@cache
def _digest_of(path: Path, mtime: int) -> str:
    """Return the digest of what a file computes."""
    tree = _WithoutWords().visit(ast.parse(path.read_text()))
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


class _WithoutWords(ast.NodeTransformer):
    """Removes docstrings, and the descriptions of the fields of settings."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Remove a text that is a statement of its own."""
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """Remove the description of a field."""
        if isinstance(node.func, ast.Name) and node.func.id == "Field":
            node.keywords = [word for word in node.keywords if word.arg != "description"]
        self.generic_visit(node)
        return node
