"""Bringing the file of a data set here and making sure that it is the right one."""

import importlib.util
import shutil
from pathlib import Path

from sclatent.atomic import replacing
from sclatent.errors import UserError
from sclatent.provenance import sha256_of


def fetch_embedded(package: str, file: str, sha256: str, destination: str | Path) -> None:
    """Copy a file that an installed package ships to `destination`.

    The package is located, not imported. Raises UserError where the package or the file is missing or the checksum differs.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(f"package '{package}' is not installed, but a data set comes from it; install it as in README.md")
    source = Path(spec.origin).parent / file
    if not source.is_file():
        raise UserError(f"package '{package}' ships no file '{file}'; install the version that requirements.lock names")
    found = sha256_of(source)
    if found != sha256:
        raise UserError(
            f"{file} of package '{package}' has SHA-256 {found}, expected {sha256}; "
            "install the version that requirements.lock names"
        )
    with replacing(destination) as temporary:
        shutil.copyfile(source, temporary)
