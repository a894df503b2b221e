"""Where files are looked for."""

import os
from pathlib import Path

import pytest

from sclatent.common.errors import UserError
from sclatent.data.locations import data_directories, own_files


def test_folders_of_the_environment_come_before_those_of_the_setting(monkeypatch):
    monkeypatch.delenv("SCLATENT_DATA", raising=False)
    assert data_directories(["data"]) == [Path("data")]
    monkeypatch.setenv("SCLATENT_DATA", os.pathsep.join(["/a", "", "b"]))
    assert data_directories(["data"]) == [Path("/a"), Path("b"), Path("data")]


def test_a_path_is_looked_for_where_one_is_and_then_in_each_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
    (tmp_path / "second" / "cells.h5ad").write_text("")
    folders = [Path("first"), Path("second")]
    assert own_files("cells.h5ad", folders) == ["second/cells.h5ad"]
    assert own_files(str(tmp_path / "second" / "cells.h5ad"), folders) == [
        str(tmp_path / "second" / "cells.h5ad")
    ]
    (tmp_path / "first" / "cells.h5ad").write_text("")
    assert own_files("cells.h5ad", folders) == ["first/cells.h5ad"]
    (tmp_path / "cells.h5ad").write_text("")
    assert own_files("cells.h5ad", folders) == ["cells.h5ad"]
    with pytest.raises(UserError, match=r"'/nowhere/x.h5ad' is not there \(looked in: /nowhere\);"):
        own_files("/nowhere/x.h5ad", folders)
    with pytest.raises(
        UserError,
        match=r"'cell.h5ad' is not there \(looked in: ., first, second\).*data_directories",
    ):
        own_files("cell.h5ad", folders)


def test_a_folder_stands_for_the_files_of_its_matrix(tmp_path):
    for name in (
        "matrix.mtx.gz",
        "barcodes.tsv.gz",
        "features.tsv.gz",
        "notes.tsv",
        "other.mtx",
        "._matrix.mtx.gz",
    ):
        (tmp_path / name).write_text("")
    names = [Path(path).name for path in own_files(str(tmp_path), [])]
    assert names == ["barcodes.tsv.gz", "features.tsv.gz", "matrix.mtx.gz"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is a folder without a 10x matrix"):
        own_files(str(tmp_path / "empty"), [])


def test_a_tilde_stands_for_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SCLATENT_DATA", raising=False)
    (tmp_path / "cells.h5ad").write_text("")
    assert own_files("~/cells.h5ad", []) == [str(tmp_path / "cells.h5ad")]
    assert data_directories(["~/data"]) == [tmp_path / "data"]
