"""The pins of pyproject.toml, the lock and the conda environments agree, and each environment holds what its rules import."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from sclatent.dependencies import imported_names

PROJECT = Path(__file__).parents[1]
SCRIPTS = PROJECT / "scripts"
CONDA_NAMES = {"matplotlib-base": "matplotlib", "python-igraph": "igraph", "pytorch": "torch", "typst-py": "typst"}
IMPORT_NAMES = {"igraph": "igraph", "pyyaml": "yaml", "scikit-learn": "sklearn", "umap-learn": "umap"}
# Needed without being imported by us: the kernel of the notebooks, the Snakemake that the report calls as a command, and what
# anndata and scanpy import for lazy matrices, loom files and the flavour seurat_v3.
STARTED = {"ipykernel", "snakemake", "dask", "loompy", "scikit-misc"}
ENVIRONMENTS = sorted(path.stem for path in (PROJECT / "envs").glob("*.yaml"))


def pins_of_environment(name):
    pins = {}
    for dependency in yaml.safe_load((PROJECT / "envs" / f"{name}.yaml").read_text())["dependencies"]:
        package, version = dependency.split(" =")
        pins[CONDA_NAMES.get(package, package)] = version
    return pins


def pins_of_lock():
    found = re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", (PROJECT / "requirements.lock").read_text(), re.MULTILINE)
    return dict(found) | {"torch": torch_pin()}


def torch_pin():
    groups = tomllib.loads((PROJECT / "pyproject.toml").read_text())["dependency-groups"]
    return groups["torch"][0].removeprefix("torch==")


def scripts_of_environment(name):
    scripts = set()
    for rules in (PROJECT / "workflow" / "rules").glob("*.smk"):
        for block in re.split(r"^rule ", rules.read_text(), flags=re.MULTILINE)[1:]:
            if f"envs/{name}.yaml" in block:
                scripts.update(re.findall(r"scripts/(\w+)\.py", block))
    return {SCRIPTS / f"{script}.py" for script in scripts}


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
            own = [file for file in candidates if file.is_file()]
            waiting += own
            top = name.split(".")[0]
            if not own and top not in {"sclatent", "_job", "_standin"} and top not in sys.stdlib_module_names:
                packages.add(top)
    return packages


def test_pins_of_the_project_are_in_the_lock():
    dependencies = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    lock = pins_of_lock()
    assert {pin for pin in dependencies if lock.get(pin.split("==")[0]) != pin.split("==")[1]} == set()


def test_no_package_index_is_named_in_the_lock():
    for name in ("requirements.lock", "requirements-torch.sha256", "pyproject.toml"):
        assert "://" not in (PROJECT / name).read_text()


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment_is_in_step_with_the_lock(name):
    lock = pins_of_lock()
    pins = {package: version for package, version in pins_of_environment(name).items() if package != "python"}
    assert pins == {package: lock.get(package) for package in pins}


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_environment_holds_what_its_rules_import_and_no_more(name):
    scripts = scripts_of_environment(name)
    assert scripts
    paths = list(scripts)
    if name == "figures":
        paths += (PROJECT / "workflow" / "notebooks").glob("*.ipynb")
    if name == "report":  # Snakemake reads the Snakefile in it
        paths += [SCRIPTS / "sclatent" / f"{module}.py" for module in ("config", "dependencies", "directories", "preflight")]
    if name == "torch":
        paths += (SCRIPTS / "sclatent" / "models").glob("*.py")
    expected = third_party(paths)
    held = {IMPORT_NAMES.get(package, package) for package in pins_of_environment(name) if package != "python"}
    assert held - STARTED == expected - STARTED
