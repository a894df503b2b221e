"""A stand-in for conda, for tests: builds each environment as a virtual environment from the pins of its file, with pip.

It answers what Snakemake asks of conda, and nothing else. A package that no pin names comes only where another needs it, in the
version of requirements.lock. So it shows that an environment holds all that its rules need; it does not show that conda-forge has
the pins, or has them together, nor anything about CUDA.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

LOCK = Path(__file__).parents[1] / "requirements.lock"
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
    """Write the commands `conda` and, to be sourced, `activate` into the folder bin of a folder, which is made."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "activate").write_text('export PATH="$1/bin:$PATH"\n')
    command = folder / "bin" / "conda"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "{folder}" "$@"\n')
    command.chmod(0o755)


def pins_of(file: Path) -> dict[str, str]:
    """Return the versions that an environment file pins, by the package's name in the package index; "python" is one of them."""
    pins = (dependency.split(" =") for dependency in yaml.safe_load(file.read_text())["dependencies"])
    return {INDEX_NAMES.get(package, package): version for package, version in pins}


def without_environment(conda: Path) -> dict[str, str]:
    """Return the variables of a shell that has the stand-in in a folder, and no Python of ours."""
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "SCLATENT_DATA")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PATH": f"{conda / 'bin'}:{os.defpath}"}


def build(prefix: Path, pins: dict[str, str]) -> None:
    """Build a virtual environment with what is pinned and what that needs. Raises CalledProcessError where pip cannot."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        # Without its hashes: pip would want them of torch, too, which the lock leaves out.
        lines = LOCK.read_text().splitlines()
        constraints.write("\n".join(line.removesuffix(" \\") for line in lines if not line.startswith(" ")))
        constraints.flush()
        pip = [sys.executable, "-m", "pip", "--python", prefix / "bin" / "python"]
        install = ["install", "-qq", "--no-compile", "--constraint", constraints.name]
        subprocess.run([*pip, *install, *(f"{package}=={version}" for package, version in pins.items())], check=True)


def create(file: Path, prefix: Path) -> None:
    """Build the environment of a file, for the Python that runs this; another is an error."""
    pins = pins_of(file)
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if (wanted := pins.pop("python")) != running:
        sys.exit(f"{file} wants Python {wanted}, but the stand-in for conda runs on {running}")
    build(prefix, pins)


def main(folder: str, arguments: list[str]) -> None:
    """Answer one command of Snakemake; folder: the one that `put_into` was given."""
    match arguments:
        case ["--version"]:
            print("conda 25.1.0")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": folder, "platform": "linux-64"}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", "--quiet", "--no-default-packages", "--file", file, "--prefix", prefix]:
            create(Path(file), Path(prefix))
        case ["clean", "-y", "--tarballs"]:
            pass  # pip keeps no archives
        case _:
            sys.exit(f"the stand-in for conda does not know: conda {' '.join(arguments)}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
