"""The library as a package: what `pip install .` gives."""

import shutil
import subprocess
import sys

import pytest
from helpers import PROJECT

import sclatent


def test_every_exported_name_is_there_and_documented():
    for name in sclatent.__all__:
        assert callable(getattr(sclatent, name))
        assert f"`{name}`" in sclatent.__doc__
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        sclatent.nothing_of_the_kind  # noqa: B018


def test_an_installed_package_is_typed_and_imports_nothing_that_plans_lack(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "scripts").mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, source)
    shutil.copytree(PROJECT / "scripts" / "sclatent", source / "scripts" / "sclatent")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(target), str(source)], check=True)
    assert (target / "sclatent" / "py.typed").is_file()
    code = (
        "import sclatent, sys; print(sclatent.__version__, {'torch', 'scanpy'} & set(sys.modules))"
    )
    python = [sys.executable, "-c", code]
    run = subprocess.run(python, cwd=target, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [sclatent.__version__, "set()"]
