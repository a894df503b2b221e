"""The pins of pyproject.toml, the lock and the conda environments agree, and each environment holds
what its rules import.
"""

import re
import sys
import tomllib

import pytest
from conda_standin import pins_of
from helpers import PARTS, PROJECT

from sclatent.io.imports import imported_names

SCRIPTS = PROJECT / "scripts"
LAZY = SCRIPTS / "sclatent" / "__init__.py"  # imports what it exports when that is first used
IMPORT_NAMES = {
    "igraph": "igraph",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "umap-learn": "umap",
}
# Needed without being imported by us: the kernel of the notebooks, the Snakemake that the report
# calls as a command and what that colours code with, and what anndata and scanpy import for lazy
# matrices, loom files and the flavour seurat_v3.
STARTED = {"ipykernel", "snakemake", "pygments", "dask", "loompy", "scikit-misc"}
ENVIRONMENTS = sorted(path.stem for path in (PROJECT / "envs").glob("*.yaml"))


def pins_of_environment(name):
    return {
        package: version
        for package, version in pins_of(PROJECT / "envs" / f"{name}.yaml").items()
        if package != "python"
    }


def pins_of_lock():
    found = re.findall(
        r"^([a-z0-9._-]+)==([^ ;\\]+)", (PROJECT / "requirements.lock").read_text(), re.MULTILINE
    )
    return dict(found) | {"torch": torch_pin()}


def torch_pin():
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    return groups["torch"][0].removeprefix("torch==")


def scripts_of_environment(name):
    scripts = set()
    for rules in (PROJECT / "workflow" / "rules").glob("*.smk"):
        for block in re.split(r"^rule ", rules.read_text(), flags=re.MULTILINE)[1:]:
            environment = re.search(r"envs/(.+)\.yaml", block)[1]
            if name in (["torch", "torch_cuda"] if environment == "{TORCH}" else [environment]):
                scripts.update(re.findall(r"scripts/(\w+)\.py", block))
    assert scripts
    return {SCRIPTS / f"{script}.py" for script in scripts}


def imports_of_environment(name):
    """Top-level packages that the code of an environment's rules imports."""
    paths = list(scripts_of_environment(name))
    if name == "figures":  # the modules that the notebook imports
        paths += (SCRIPTS / "sclatent" / "figures").glob("*.py")
    if name == "report":  # Snakemake reads the Snakefile in it
        paths += [
            SCRIPTS / "sclatent" / f"{module}.py"
            for module in ("config/load", "pipeline/code", "pipeline/figures", "pipeline/preflight")
        ]
    if name.startswith("torch"):
        paths += (SCRIPTS / "sclatent" / "models").glob("*.py")
    return third_party(paths)


def third_party(paths):
    """Top-level packages that files import, directly or through the project's own modules."""
    waiting, seen, packages = list(paths), set(), set()
    while waiting:
        path = waiting.pop()
        if path in seen or path.stem == "_standin":
            continue
        seen.add(path)
        for name in imported_names(path):
            local = SCRIPTS.joinpath(*name.split("."))
            candidates = [local.with_suffix(".py"), local / "__init__.py"]
            own = [file for file in candidates if file.is_file() and file != LAZY]
            waiting += own
            top = name.split(".")[0]
            if (
                not own
                and top not in {"sclatent", "_job", "_standin"}
                and top not in sys.stdlib_module_names
            ):
                packages.add(top)
    return packages


def test_pins_of_the_project_are_in_the_lock():
    dependencies = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"][
        "dependencies"
    ]
    lock = pins_of_lock()
    assert {
        pin for pin in dependencies if lock.get(pin.split("==")[0]) != pin.split("==")[1]
    } == set()


def test_no_package_index_is_named_in_the_lock():
    for name in ("requirements.lock", "requirements-torch.sha256", "pyproject.toml"):
        assert "://" not in (PROJECT / name).read_text()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment_is_in_step_with_the_lock(name):
    lock = pins_of_lock()
    pins = pins_of_environment(name)
    assert pins == {package: lock.get(package) for package in pins}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment_holds_what_its_rules_import_and_no_more(name):
    held = {IMPORT_NAMES.get(package, package) for package in pins_of_environment(name)}
    assert held - STARTED == imports_of_environment(name) - STARTED


def test_environments_of_models_differ_by_the_build_of_torch_alone():
    cpu, cuda = (
        (PROJECT / "envs" / f"{name}.yaml").read_text().splitlines()[1:]
        for name in ("torch", "torch_cuda")
    )
    assert cuda == [line.replace("pytorch-cpu", "pytorch-gpu") for line in cpu] != cpu


def test_container_has_the_python_of_the_environments_and_holds_what_a_run_needs():
    recipe = (PROJECT / "Containerfile").read_text()
    named = {pins_of(PROJECT / "envs" / f"{name}.yaml")["python"] for name in ENVIRONMENTS}
    assert set(re.findall(r"^FROM python:([\d.]+)-slim", recipe, re.MULTILINE)) == named
    copied = {
        path
        for paths in re.findall(r"^COPY --\S+ (.+) \S+$", recipe, re.MULTILINE)
        for path in paths.split()
    }
    assert {path for path in copied if not (PROJECT / path).exists()} == set()
    assert copied >= {
        *PARTS,
        "Makefile",
        "pyproject.toml",
        "requirements.lock",
        "requirements-torch.sha256",
    }
