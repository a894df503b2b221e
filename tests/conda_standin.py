"""A stand-in for conda, for tests: builds each environment as a virtual environment from the pins
of its file.

It answers what Snakemake asks of conda, and nothing else. Packages are linked from the
environment of the tests, which requirements.lock gives; one that no pin names comes only where
the metadata of another say that it needs it. So it shows that an environment holds all that its
rules need; it does not show that conda-forge has the pins, or has them together, nor anything
about CUDA.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import yaml
from packaging.requirements import Requirement

# What packages of conda-forge are called in the package index, where that differs.
INDEX_NAMES = {
    "matplotlib-base": "matplotlib",
    "python-igraph": "igraph",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "snakemake-minimal": "snakemake",
    "typst-py": "typst",
}


def put_into(folder: Path) -> None:
    """Write the commands `conda` and, to be sourced, `activate` into the folder bin of a folder,
    which is made.
    """
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "activate").write_text('export PATH="$1/bin:$PATH"\n')
    command = folder / "bin" / "conda"
    command.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "{folder}" "$@"\n'
    )
    command.chmod(0o755)


def pins_of(file: Path) -> dict[str, str]:
    """Return the versions that an environment file pins, by the package's name in the package
    index; "python" is one of them.
    """
    pins = (
        dependency.split(" =") for dependency in yaml.safe_load(file.read_text())["dependencies"]
    )
    return {INDEX_NAMES.get(package, package): version for package, version in pins}


def without_environment(conda: Path) -> dict[str, str]:
    """Return the variables of a shell that has the stand-in in a folder, and no Python of ours."""
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "SCLATENT_DATA")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PATH": f"{conda / 'bin'}:{os.defpath}"}


def build(prefix: Path, pins: dict[str, str]) -> None:
    """Build a virtual environment with what is pinned and what that needs. Raises LookupError where
    it is not here.
    """
    needed = with_requirements(pins)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    for package in needed:
        files = [Path(package.locate_file(file)).resolve() for file in package.files]
        # What has been compiled here, by numba too, need not be compiled again.
        compiled = [
            file
            for folder in {file.parent for file in files}
            for file in folder.glob("__pycache__/*")
        ]
        for file in {*files, *compiled}:
            link(file, prefix / file.relative_to(sys.prefix), prefix)


def with_requirements(pins: dict[str, str]) -> list[Distribution]:
    """Return the packages that are pinned, and those that these require, directly or through
    others.
    """
    waiting = [Requirement(f"{package}=={version}") for package, version in pins.items()]
    found, seen = {}, set()
    while waiting:
        wanted = waiting.pop()
        try:
            package = distribution(wanted.name)
        except PackageNotFoundError:
            raise LookupError(f"{wanted} is not installed here") from None
        if not wanted.specifier.contains(package.version, prereleases=True):
            raise LookupError(f"{wanted} is wanted, but {package.version} is installed here")
        found[package.name] = package
        for extra in {"", *wanted.extras}:
            if (package.name, extra) not in seen:
                seen.add((package.name, extra))
                requirements = map(Requirement, package.requires or [])
                waiting += [
                    other
                    for other in requirements
                    if other.marker is None or other.marker.evaluate({"extra": extra})
                ]
    return list(found.values())


def link(file: Path, copy: Path, prefix: Path) -> None:
    """Link a file of this environment into another one, or copy it to another disk."""
    if copy.exists():
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    if copy.parent == prefix / "bin":  # a command, which names the Python that is to run it
        copy.write_bytes(file.read_bytes().replace(os.fsencode(sys.prefix), os.fsencode(prefix)))
        copy.chmod(0o755)
        return
    try:
        os.link(file, copy)
    except OSError:
        shutil.copy2(file, copy)


def create(file: Path, prefix: Path) -> None:
    """Build the environment of a file, for the Python that runs this; another is an error."""
    pins = pins_of(file)
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if (wanted := pins.pop("python")) != running:
        sys.exit(f"{file} wants Python {wanted}, but the stand-in for conda runs on {running}")
    try:
        build(prefix, pins)
    except LookupError as error:
        sys.exit(str(error))


def main(folder: str, arguments: list[str]) -> None:
    """Answer one command of Snakemake; folder: the one that `put_into` was given."""
    match arguments:
        case ["--version"]:
            print("conda 25.1.0")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": folder, "platform": "linux-64"}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case [
            "env",
            "create",
            "--quiet",
            "--no-default-packages",
            "--file",
            file,
            "--prefix",
            prefix,
        ]:
            create(Path(file), Path(prefix))
        case ["clean", "-y", "--tarballs"]:
            pass  # there are no archives
        case _:
            sys.exit(f"the stand-in for conda does not know: conda {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
