"""Configurations, data, archives and answers of servers that others made read, write and run
nothing that they should not.
"""

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import anndata as ad
import h5py
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import Workflow
from hypothesis import given
from hypothesis import strategies as st
from papermill.translators import PythonTranslator
from pyarrow import parquet
from snakemake.common.configfile import load_configfile
from snakemake_interface_common.exceptions import WorkflowError
from test_config import changed
from test_fetch import CONTENT, files, folders, get, server, status, whole  # noqa: F401 - fixtures among them
from test_paper import Build, config  # noqa: F401 - a fixture
from test_readers import (
    as_anndata,
    counts_of,
    kang_files,
    link,
    mtx_parts,
    refusal,
    write_10x_h5,
    write_parts,
    write_tar,
)
from test_report import rendered

from sclatent.common.errors import UserError
from sclatent.config.datasets import File, name_without_treated
from sclatent.config.load import load
from sclatent.data.fetch import fetch
from sclatent.data.ingest import ingest
from sclatent.data.locations import download_directory, own_files
from sclatent.data.readers.registry import read, read_annotation
from sclatent.figures.latent_space_3d import latent_space_3d
from sclatent.figures.style import STYLE, legend, looks_of, save
from sclatent.io.tables import as_kind, read_table, write_table
from sclatent.pipeline.notebooks import execute
from sclatent.pipeline.plan import Plan
from sclatent.pipeline.preflight import source_files
from sclatent.pipeline.report_page import without_markup
from sclatent.report.exports import write_parquet
from sclatent.report.first_page import as_rst
from sclatent.report.headline import as_html_page

MARKER = "ran"  # a file that what is hostile would make
TOUCH = f"__import__('os').system('touch {MARKER}')"
SHELL = f"$(touch {MARKER}) `touch {MARKER}`; touch {MARKER} | cat > {MARKER} & *"
# What shells, pages, templates, typesetters, formats and spreadsheets would take for more than a
# text.
TEXTS = {
    "shell": SHELL,
    "page": "</script><script>ran = 1</script><img src=x onerror=ran=1>--></td></table>&lt;",
    "template": "{% endraw %}{{ cycler.__init__.__globals__.os.system('touch "
    + MARKER
    + "') }}{% raw %}{# #}",
    "directive": f".. include:: /etc/passwd :file:`/etc/passwd` `a`_ |b| <{MARKER}>`_",
    "typesetter": '#read("/etc/passwd") #import "x.typ": * $ x $ \\ *b* @c <d>',
    "format": "{0.__class__.__mro__} {wildcards.dataset} {config[run]} %s %(name)s",
    "formula": "=cmd|'/C calc'!A0",
    "mathematics": r"$\x$ \$ $ \frac $",
    "code": f'"; {TOUCH}; """ \\" \'); {TOUCH} #',
}
BROKEN_LINES = [
    "a\nb",
    "a\r\n.. include:: /etc/passwd",
    "a\tb",
    "\x1b]0;title\x07",
    "a\x00b",
    "a\x85b",
    "a\u2028b",
    "a\x9bb",
]
NAMES = [
    "../x",
    "/tmp/x",
    "-x",
    "--x",
    ".x",
    "a b",
    "a/b",
    "a;b",
    "$(x)",
    "`x`",
    "*",
    "{x}",
    "a'b",
    'a"b',
    "~",
    "",
    "a|b",
    "é",
]
pytestmark = pytest.mark.usefixtures("nothing_ran")


@pytest.fixture
def nothing_ran(tmp_path, monkeypatch):
    """Run a test in a folder of its own and see that nothing hostile ran there."""
    monkeypatch.chdir(tmp_path)
    yield
    assert list(tmp_path.rglob(MARKER)) == []


# Configurations


def refused(raw) -> str:
    """The line by which a configuration is refused."""
    with pytest.raises(UserError) as raised:
        load(raw)
    message = str(raised.value)
    assert message.isprintable()
    assert message.startswith("configuration: ")
    return message


@pytest.mark.parametrize("name", NAMES)
def test_names_that_a_path_or_a_shell_would_read_otherwise_are_refused(raw_config, name):
    for kind in ("datasets", "models", "studies"):
        assert name in refused(
            changed(
                raw_config, kind, {**raw_config[kind], name: next(iter(raw_config[kind].values()))}
            )
        )
    for place in ("run", "studies.quickstart.datasets", "studies.quickstart.models"):
        assert place in refused(changed(raw_config, place, [name]))
    if name != "a/b":  # a folder of the data directory
        assert "images.name" in refused(
            changed(raw_config, "datasets.mnist.files.images.name", name)
        )


@pytest.mark.parametrize("name", ["a/../../x", "a/./x", "a//x", "a/", "a/.x", "a\\..\\x"])
def test_a_published_file_stays_within_its_folder(raw_config, name):
    assert "images.name" in refused(changed(raw_config, "datasets.mnist.files.images.name", name))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *(
            ("datasets.mnist.files.images.urls", [url])
            for url in ("file:///etc/passwd", "ftp://x.org/y", "//x.org", "data:,x")
        ),
        *(
            ("datasets.digits.files.counts.package", name)
            for name in ("evil.sub", "__main__", ".evil", "../evil", "a-b", "")
        ),
        *(("models.ae.family", name) for name in ("../evil", "/tmp/evil", "base", "evil.sub")),
        *(("device", value) for value in ("cuda; touch x", ["cuda"], {"cuda": 0}, 0)),
        *(("threads", value) for value in ("1; touch x", [1], 1.5, -1, "0x2", os.system)),
        *(("data_directories", value) for value in ("data", [["data"]], [1], {"data": 1})),
    ],
)
def test_values_of_another_kind_are_refused_by_their_place(raw_config, place, value):
    assert place in refused(changed(raw_config, place, value))


@pytest.mark.parametrize("text", BROKEN_LINES, ids=ascii)
def test_a_text_of_more_than_a_line_is_refused_wherever_it_stands(raw_config, text):
    """One in a title would include files in the report, by a directive on a line of its own."""
    for place in (
        "studies.quickstart.title",
        "datasets.kang.columns.batch",
        "datasets.kang.control",
        "device",
    ):
        assert f"'{place}'" in refused(changed(raw_config, place, text))
    assert "datasets.kang.keep.x.0" in refused(
        changed(raw_config, "datasets.kang.keep", {"x": [text]})
    )
    assert "data_directories.0" in refused(changed(raw_config, "data_directories", [text]))
    assert "models." in refused(changed(raw_config, "models", {text: raw_config["models"]["ae"]}))
    mine = {"title": "x", "files": {"counts": {"path": f"{text}.h5ad"}}, "labels": "derived"}
    assert "datasets.mine.files.counts.path" in refused(changed(raw_config, "datasets.mine", mine))


def test_texts_for_people_may_hold_anything_else(raw_config):
    title = " ".join(TEXTS.values()).translate(str.maketrans("", "", "{}"))
    assert (
        load(changed(raw_config, "studies.quickstart.title", title)).studies["quickstart"].title
        == title
    )


def test_aliases_that_stand_for_more_than_memory_holds_are_refused_at_once(raw_config):
    huge = ["x"] * 10
    for _ in range(30):
        huge = [huge] * 10
    began = time.monotonic()
    for place in (
        "studies.quickstart.title",
        "datasets.kang.keep.x",
        "models.ae.hyperparameters.latent_dim",
    ):
        raw = {
            **raw_config,
            "datasets": {
                **raw_config["datasets"],
                "kang": {**raw_config["datasets"]["kang"], "keep": {}},
            },
        }
        assert len(refused(changed(raw, place, huge))) < 1000
    assert time.monotonic() - began < 30


def test_a_package_is_named_such_that_nothing_is_imported_to_find_it(
    raw_config, tmp_path, monkeypatch
):
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "__init__.py").write_text(f"open({str(tmp_path / MARKER)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    refused(
        changed(raw_config, "datasets.digits.files.counts", {"package": "evil.sub", "name": "x"})
    )
    assert "evil" not in sys.modules


@given(st.text(max_size=30))
def test_what_is_named_after_a_cell_type_is_safe_in_paths_and_shells(cell_type):
    name = name_without_treated("own", cell_type)
    assert re.fullmatch(r"own\.without_[A-Za-z0-9_]*", name)


@pytest.mark.parametrize(
    ("first", "environment", "kept"),
    [
        ("data", "", "data"),
        ("./data/sets", "", "data/sets"),
        ("data/../scripts", "", None),  # where a file called like a package would be imported
        (".", "", None),
        ("", "", None),
        ("scripts", "", None),
        ("database", "", None),
        ("/etc", "", None),
        ("~/.ssh", "", None),
        ("../data", "", None),
        ("/shared/data", "/other:/shared/data", "/shared/data"),
        ("/shared/data/.ssh", "/shared/data", None),
        ("elsewhere", "elsewhere", "elsewhere"),
    ],
)
def test_a_configuration_alone_has_files_written_to_data_only(
    monkeypatch, first, environment, kept
):
    monkeypatch.setenv("SCLATENT_DATA", environment)
    assert download_directory([first, "data"]) == (kept and Path(kept))


def test_a_download_that_no_folder_may_keep_is_refused_before_a_run(
    raw_config, tmp_path, monkeypatch
):
    monkeypatch.delenv("SCLATENT_DATA", raising=False)
    outside = tmp_path / "home"
    files = {"counts": {"name": "authorized_keys", "urls": ["https://x.org/y"]}}
    datasets = {"mine": {"title": "x", "format": "h5ad", "files": files, "labels": "derived"}}
    study = {"title": "x", "datasets": ["mine"], "models": ["pca"], "seeds": [0]}
    raw = {
        **raw_config,
        "run": ["x"],
        "datasets": datasets,
        "studies": {"x": study},
        "data_directories": [str(outside)],
    }
    with pytest.raises(
        UserError,
        match=r"datasets\.mine\.files\.counts: 'authorized_keys' is in none .* put 'data' first",
    ):
        source_files(Plan(load(raw)), "mine")
    outside.mkdir()
    (outside / "authorized_keys").write_text("")
    source_files(Plan(load(raw)), "mine")  # looking in any folder is harmless


@pytest.mark.parametrize(
    "name", ["{wildcards.dataset}matrix.mtx", "\x1b[31mmatrix.mtx", "a\nmatrix.mtx"], ids=ascii
)
def test_names_in_a_folder_that_snakemake_would_read_otherwise_are_refused(tmp_path, name):
    (tmp_path / name).write_text("")
    with pytest.raises(UserError, match="has a brace or a control character") as raised:
        own_files(str(tmp_path), [])
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    "tag",
    [
        "python/object/apply:os.system",
        "python/object/new:os.system",
        "python/object:subprocess.Popen",
        "python/module:os",
    ],
)
def test_a_configuration_in_yaml_makes_no_objects(raw_config, tmp_path, tag):
    """Snakemake reads the file, and a program only in one that says __use_yte__: true."""
    (tmp_path / "hostile.yaml").write_text(f"run: !!{tag} ['touch {MARKER}']\n")
    with pytest.raises(WorkflowError, match="not valid JSON or YAML"):
        load_configfile("hostile.yaml")
    (tmp_path / "hostile.yaml").write_text(f'run: !!python/name:os.system\ntitle: "?{TOUCH}"\n')
    assert load_configfile("hostile.yaml") == {"run": os.system, "title": f"?{TOUCH}"}
    assert "'run'" in refused({"run": os.system})
    assert "__use_yte__" in refused({**raw_config, "__use_yte__": False})


@pytest.mark.workflow
def test_a_configuration_puts_no_file_among_the_programs(tmp_path):
    workflow = Workflow(tmp_path)
    study = {"title": f"?{TOUCH}", "datasets": ["mine"], "models": ["pca"], "seeds": [0]}
    files = {"counts": {"name": "requests.py", "urls": ["http://127.0.0.1:9/x"]}}
    dataset = {"title": "x", "format": "h5ad", "files": files, "labels": "derived"}
    hostile = {
        "run": ["x"],
        "studies": {"x": study},
        "datasets": {"mine": dataset},
        "data_directories": ["scripts"],
    }
    (tmp_path / "hostile.yaml").write_text(yaml.safe_dump(hostile))
    run = workflow.snakemake(
        "--cores", "1", "--configfile", "hostile.yaml", "--", "results/files/requests.py"
    )
    assert run.returncode == 1
    assert "fetch requests.py: 'requests.py' is in none of the data directories" in run.stdout
    assert list(tmp_path.rglob("requests.py")) == []


# Servers


def test_nothing_is_downloaded_where_no_folder_may_keep_it(server, folders):
    url = server.url("/file", whole())
    file = {
        "name": "x",
        "package": None,
        "size": None,
        "sha256": None,
        "content_md5": None,
        "urls": [url],
    }
    with pytest.raises(
        UserError, match="put 'data' first in data_directories, or set SCLATENT_DATA"
    ):
        fetch(File(**file), folders, None, folders[0] / "x")
    assert server.seen == []


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "gopher://127.0.0.1/x"]
)
def test_a_server_that_redirects_to_another_kind_of_address_gives_nothing(
    server, folders, get, target
):
    with pytest.raises(UserError, match="cannot be downloaded") as raised:
        get(server.url("/file", status(302, Location=target)), sha256=None)
    assert str(raised.value).isprintable()
    assert files(folders) == []


def test_a_server_does_not_name_the_file(server, folders, get, tmp_path):
    name = "attachment; filename=../../evil"
    assert (
        get(server.url("/file", whole(Content_Disposition=name, Content_Location="/../evil")))
        == CONTENT
    )
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["file.bin", "source"]
    assert files(folders) == ["file.bin", "source"]


def endless(handler):
    """Send zeros until the client hangs up, or 64 MiB."""
    handler.reply(200, Transfer_Encoding="chunked")
    for _ in range(64):
        handler.wfile.write(b"%x\r\n%b\r\n" % (1 << 20, bytes(1 << 20)))
        handler.note["sent"] += 1 << 20


def test_no_more_is_taken_from_a_server_than_the_file_is_long(server, folders, get):
    with pytest.raises(UserError, match=r"what the server sent has \d+ bytes, expected 1000"):
        get(server.url("/file", endless), size=1000)
    assert server.seen[0]["sent"] < 64 << 20
    assert files(folders) == []


def test_words_of_a_server_cannot_command_the_terminal(server, get):
    def answer(handler):
        handler.send_response(404, "\x1b]0;title\x07 \x9bgone")
        handler.end_headers()

    with pytest.raises(UserError, match=r"HTTP 404 \\x1b\]0;title\\x07") as raised:
        get(server.url("/file", answer))
    assert str(raised.value).isprintable()
    absurd = status(206, Content_Range=f"bytes {'9' * 5000}-1/2")
    with pytest.raises(UserError, match="no answer to the request"):
        get(server.url("/other", absurd))


# HDF5


def secret(folder: Path) -> Path:
    """A file that is none of the data: four numbers for each of the three cells of the example."""
    path = folder / "secret"
    path.write_bytes(bytes(range(101, 113)))
    return path


def from_outside(kind: str, folder: Path, shape=(3, 4)):
    """A function that puts values of a file outside of an HDF5 file in a place of it."""
    path = secret(folder)

    def put(file: h5py.File, place: str) -> None:
        attributes = dict(file[place].attrs)
        del file[place]
        if kind == "raw bytes":
            file.create_dataset(place, shape, "u1", external=[(str(path), 0, 12)])
        elif kind == "link":
            with h5py.File(folder / "other.h5", "w") as other:
                other["x"] = np.frombuffer(path.read_bytes(), "u1").reshape(shape)
                other["x"].attrs.update(attributes)
            file[place] = h5py.ExternalLink(str(folder / "other.h5"), "/x")
            return
        else:
            with h5py.File(folder / "other.h5", "w") as other:
                other["x"] = np.frombuffer(path.read_bytes(), "u1").reshape(shape)
            layout = h5py.VirtualLayout(shape, "u1")
            layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", shape)
            file.create_virtual_dataset(place, layout)
        file[place].attrs.update(attributes)

    return put


@pytest.mark.parametrize("kind", ["raw bytes", "link", "virtual"])
def test_an_h5ad_that_takes_values_from_other_files_is_refused_by_the_place(tmp_path, kind):
    path = tmp_path / "cells.h5ad"
    as_anndata(
        np.arange(12.0).reshape(3, 4), layers={"raw_counts": np.arange(12.0).reshape(3, 4)}
    ).write_h5ad(path)
    with h5py.File(path, "a") as file:
        from_outside(kind, tmp_path)(file, "layers/raw_counts")
    for layer in (None, "raw_counts"):  # what is read now and what may be read another day
        message = refusal(counts_of, "h5ad", path, layer=layer)
        assert f"{path}: layers/raw_counts" in message
        assert "give a file that holds all of its data" in message
    assert f"{path}: layers/raw_counts" in refusal(read_annotation, [path])


@pytest.mark.parametrize(
    ("format", "place"),
    [("10x_h5", "matrix/data"), ("loom", "matrix"), ("pbmc68k_reduced", "X/data")],
)
def test_no_format_of_hdf5_takes_values_from_other_files(tmp_path, format, place):
    path = tmp_path / "cells.h5"
    if format == "10x_h5":
        write_10x_h5(path, 3)
    elif format == "loom":
        as_anndata().write_loom(path)
    else:
        as_anndata(np.arange(12.0).reshape(3, 4)).write_h5ad(path)
    with h5py.File(path, "a") as file:
        shape = file[place].shape
        from_outside("raw bytes", tmp_path, shape)(file, place)
    assert f"{path}: {place} takes its values from other files" in refusal(counts_of, format, path)


def opaque(file: h5py.File, place: str, tag: bytes, values: np.ndarray) -> None:
    """Replace a place of an HDF5 file by bytes of an opaque type, by whose name h5py chooses what
    it makes of them.
    """
    attributes = dict(file[place].attrs) if place in file else {}
    if place in file:
        del file[place]
    kind = h5py.h5t.create(h5py.h5t.OPAQUE, values.dtype.itemsize)
    kind.set_tag(tag)
    written = h5py.h5d.create(file.id, place.encode(), kind, h5py.h5s.create_simple(values.shape))
    written.write(h5py.h5s.ALL, h5py.h5s.ALL, values, kind)
    file[place].attrs.update(attributes)


@pytest.mark.parametrize("place", ["obs/kind", "var/_index", "uns/x", "X"])
def test_an_h5ad_with_addresses_of_objects_is_refused_before_it_is_read(tmp_path, place):
    """Read as they say they are, the bytes are taken for objects in memory, which ends the process
    at best.
    """
    path = tmp_path / "cells.h5ad"
    adata = as_anndata(np.arange(12.0).reshape(3, 4))
    adata.obs["kind"] = ["a", "b", "a"]
    adata.write_h5ad(path)
    with h5py.File(path, "a") as file:
        opaque(file, place, b"NUMPY:|O", np.full(3, 0x41, "u8").view("V8"))
    assert f"{path}: {place} holds objects of a program" in refusal(counts_of, "h5ad", path)


def test_attributes_with_addresses_of_objects_are_refused_too(tmp_path):
    path = tmp_path / "cells.h5ad"
    as_anndata().write_h5ad(path)
    with h5py.File(path, "a") as file:
        kind = h5py.h5t.create(h5py.h5t.OPAQUE, 8)
        kind.set_tag(b"NUMPY:|O")
        member = h5py.h5t.create(h5py.h5t.COMPOUND, 8)
        member.insert(b"inner", 0, kind)
        h5py.h5a.create(file["obs"].id, b"x", member, h5py.h5s.create_simple((1,)))
    assert "obs holds objects of a program" in refusal(counts_of, "h5ad", path)


def test_what_an_h5ad_holds_beside_the_cells_is_not_read(tmp_path):
    path = tmp_path / "cells.h5ad"
    as_anndata().write_h5ad(path)
    with h5py.File(path, "a") as file:
        file["uns"].attrs["encoding-type"] = "python-object"
        file["uns/pickled"] = np.void(f"cos\nsystem\n(S'touch {MARKER}'\ntR.".encode())
        file["uns/loop"] = h5py.SoftLink("/uns")
    assert counts_of("h5ad", path).uns["layers"] == []
    with h5py.File(path, "a") as file:
        file["obs"].attrs["encoding-type"] = "python-object"
    assert f"{path} cannot be read as h5ad" in refusal(counts_of, "h5ad", path)


def test_a_small_file_of_a_huge_table_is_refused(tmp_path):
    path = tmp_path / "cells.h5ad"
    adata = as_anndata()
    adata.obs["kind"] = [1, 2, 3]
    adata.write_h5ad(path)
    with h5py.File(path, "a") as file:
        attributes = dict(file["obs/kind"].attrs)
        del file["obs/kind"]
        file.create_dataset(
            "obs/kind", (10**15,), "f8", chunks=(1000,), compression="gzip"
        ).attrs.update(attributes)
    assert f"{path} cannot be read as h5ad (Unable to allocate" in refusal(counts_of, "h5ad", path)


# Arrays of numpy, tables and archives


class Pickled:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, (f"touch {MARKER}",)


@pytest.mark.parametrize(
    "format", ["h5ad", "10x_h5", "loom", "10x_mtx", "csv", "digits", "idx", "pbmc68k_reduced"]
)
@pytest.mark.parametrize("kind", ["npz", "npy", "pickle"])
def test_pickled_objects_are_read_by_no_format(tmp_path, format, kind):
    path = tmp_path / f"cells.{kind}"
    values = np.array([Pickled()] * 3, dtype=object)
    if kind == "npz":
        np.savez(path, data=values)
    elif kind == "npy":
        np.save(path, values, allow_pickle=True)
    else:
        pd.Series(values).to_pickle(path)
    if format == "idx":
        roles = {role: [path] for role in ("images", "labels", "test_images", "test_labels")}
        message = refusal(read, "idx", roles)
    else:
        message = refusal(counts_of, format, path)
    assert str(tmp_path if format == "10x_mtx" else path) in message
    assert str(path) in refusal(read_annotation, [path])


def test_code_in_a_table_is_text_or_refused(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text(f'cell,kind\na,"{TOUCH}"\nb,@x\n')
    assert read_annotation([path])["kind"].tolist() == [TOUCH, "@x"]
    assert "numbers only" in refusal(counts_of, "csv", path)


def test_an_archive_with_links_that_stay_inside_is_refused_as_they_need_not(tmp_path, monkeypatch):
    """The filter of Python 3.11.12 and older follows a link whose path is longer than the system
    resolves (CVE-2025-4517).
    """
    outside, long, steps = tmp_path / "outside", "d" * 247, "abcdefghijklmnop"
    for folder in (outside, tmp_path / "temporary"):
        folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    path = ""
    with tarfile.open(tmp_path / "m.tar", "w") as file:
        for step in steps:
            folder = tarfile.TarInfo(os.path.join(path, long))
            folder.type = tarfile.DIRTYPE
            file.addfile(folder)
            file.addfile(link(os.path.join(path, step), long, tarfile.SYMTYPE))
            path = os.path.join(path, long)
        up = os.path.join(*steps, "l" * 254)
        file.addfile(link(up, "../" * len(steps), tarfile.SYMTYPE))
        file.addfile(link("escape", f"{up}/../..{outside}", tarfile.SYMTYPE))
        file.addfile(tarfile.TarInfo("escape/evil"))
    assert f"{tmp_path / 'm.tar'} is not safe to open: 'a' is a link" in refusal(
        counts_of, "10x_mtx", tmp_path / "m.tar"
    )
    parts = {
        "m/other": link("m/other", "matrix.mtx.gz", tarfile.SYMTYPE),
        **{f"m/{name}": x for name, x in mtx_parts().items()},
    }
    assert "'m/other' is a link" in refusal(
        counts_of, "10x_mtx", write_tar(tmp_path / "inner.tar.gz", parts)
    )
    assert list(outside.iterdir()) == []


def test_an_archive_within_an_archive_stays_closed(tmp_path):
    inner = write_tar(
        tmp_path / "inner.tar",
        {f"m/{name}": content for name, content in mtx_parts().items()},
        mode="w",
    )
    outer = write_tar(tmp_path / "outer.tar.gz", {"inner.tar": inner.read_bytes()})
    assert "but holds: none" in refusal(counts_of, "10x_mtx", outer)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE]
)
def test_the_archive_of_a_series_is_read_from_itself_alone(tmp_path, kind):
    paths = kang_files(tmp_path)
    sample = "GSM2560248_2.1.mtx.gz"
    target = mtx_parts()["matrix.mtx.gz"]
    (tmp_path / "outside.mtx.gz").write_bytes(target)
    with tarfile.open(paths["archive"][0]) as file:
        parts = {
            member.name: file.extractfile(member).read() for member in file if member.name != sample
        }
    write_tar(
        paths["archive"][0],
        {sample: link(sample, str(tmp_path / "outside.mtx.gz"), kind), **parts},
        mode="w",
    )
    message = refusal(read, "geo_kang", paths)
    assert f"{paths['archive'][0]} cannot be read as the series' raw archive" in message


def test_a_matrix_that_says_that_it_is_huge_is_refused(tmp_path):
    parts = mtx_parts(zipped=False)
    parts["matrix.mtx"] = (
        b"%%MatrixMarket matrix coordinate integer general\n99999999999 99999999999 1\n1 1 1\n"
    )
    assert "matrix.mtx holds 99999999999 cells" in refusal(
        counts_of, "10x_mtx", *write_parts(tmp_path / "m", parts)
    )


# Labels and titles, and where they end up


def ingested(**names):
    """Counts of three cells and four genes of which one cell, gene, cell type or condition has
    another name.
    """
    adata = as_anndata()
    adata.obs["stim"] = ["a", "b", "b"]
    for what, name in names.items():
        if what in ("label", "stim"):
            adata.obs[what] = [name, "b", "b"]
        else:
            axis = adata.obs if what == "cell" else adata.var
            axis.index = [name, *axis.index[1:]]
    return ingest(adata, None, {"cell_type": "label", "condition": "stim"}, None, {}, {})


@pytest.mark.parametrize("name", BROKEN_LINES, ids=ascii)
def test_names_of_more_than_a_line_are_refused(name):
    for what, called in {
        "label": "cell_type",
        "stim": "condition",
        "cell": "cell",
        "gene": "gene",
    }.items():
        message = refusal(ingested, **{what: name})
        assert f"a {called} is called {name!r}, which holds a line break" in message
        assert message.isprintable()


@pytest.mark.parametrize("kind", TEXTS)
def test_names_that_elsewhere_would_be_code_are_kept_as_they_are(tmp_path, kind):
    text = TEXTS[kind]
    adata = ingested(label=text, stim=text, cell=text, gene=text)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    again = ad.read_h5ad(tmp_path / "cells.h5ad")
    names = (
        again.obs["cell_type"].iloc[0],
        again.obs["condition"].iloc[0],
        again.obs_names[0],
        again.var_names[0],
    )
    assert set(names) == {text}
    runs = pd.DataFrame(
        [("d", "m", 0, "failed", text)], columns=["dataset", "model", "seed", "status", "reason"]
    )
    runs = as_kind(runs, "runs")
    write_table(runs, tmp_path / "runs.tsv", "runs", {})
    assert read_table(tmp_path / "runs.tsv", "runs")["reason"].tolist() == [text]
    write_parquet(runs, tmp_path / "runs.parquet", "runs", {})
    column = parquet.read_table(tmp_path / "runs.parquet").column("reason")
    assert (str(column.type), column.to_pylist()) == ("string", [text]), (
        "a text, and no formula of a spreadsheet"
    )


class Page(HTMLParser):
    """What a browser would make of a page: its elements with their attributes, the texts of its
    cells, and its scripts.
    """

    def __init__(self, text: str):
        super().__init__()
        self.elements, self.cells = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, *sorted(name for name, _ in attributes)))
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "td":
            self.cells[-1] += data


PLAIN = {kind: f"plain {kind}" for kind in TEXTS}


def test_tables_of_the_report_show_names_and_run_none_of_them():
    """Snakemake takes the first page for a template of Jinja, in which code can stand, and for
    reStructuredText.
    """

    def pages(texts):
        table = pd.DataFrame({"conditions": texts.values()})
        headline = as_html_page(dict.fromkeys(texts.values(), table), texts["page"], "{}")
        return Page(rendered(as_rst({texts["page"]: [table]}, "Read *this*.", "{}"))), Page(
            headline
        )

    for hostile, plain in zip(pages(TEXTS), pages(PLAIN), strict=True):
        assert hostile.elements == plain.elements
        assert (
            [cell.strip() for cell in hostile.cells]
            == list(TEXTS.values()) * (len(hostile.cells) // len(TEXTS))
            != []
        )


SNAKEFILE = """
import json

TITLE = json.load(open("title.json"))

rule all:
    output:
        report("a.txt", category=lambda wildcards: TITLE, labels={"of": TITLE}),
    params:
        title={"of": TITLE},
    script:
        "a.py"
"""


@pytest.mark.workflow
def test_titles_in_the_report_end_no_script(tmp_path):
    """Snakemake writes them as they are into scripts of its page, where a browser takes </script>
    for the end of a script.
    """
    title = " ".join(TEXTS.values()).translate(str.maketrans("", "", "{}"))
    for name, text in {
        "Snakefile": SNAKEFILE,
        "title.json": json.dumps(title),
        "a.py": "",
        "a.txt": "",
    }.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "snakemake", "--report", "page.html"]
    subprocess.run(command, check=True, capture_output=True)
    made = (tmp_path / "page.html").read_text()
    assert "</script><script>ran" in made, (
        "once Snakemake does this itself, sclatent.pipeline.report_page is of no use"
    )
    page = without_markup(made)
    assert "</script><script>ran" not in page
    elements = Page(page).elements
    assert [element for element in elements if "onerror" in element] == []
    assert elements.count(("script",)) < Page(made).elements.count(("script",))
    for name in ("results", "categories", "workflow_desc"):
        before, after = (
            json.loads(re.search(f'var {name} = ([{{"].*);$', text, re.MULTILINE)[1])
            for text in (made, page)
        )
        assert before == after
    assert title in json.loads(re.search("var categories = (.*);$", page, re.MULTILINE)[1])


def test_names_in_figures_are_drawn_and_are_no_elements_and_no_formulas(tmp_path):
    names = [*TEXTS.values(), "from $5 to $6"]
    with plt.rc_context(STYLE):
        figure, axis = plt.subplots(figsize=(7, 3))
        axis.set_title(TEXTS["mathematics"])
        axis.set_yticks(range(len(names)), names)
        axis.set_xscale("log")
        legend(figure, looks_of(names))
    save(figure, tmp_path / "figure.svg", "{}")
    elements = {
        element.tag.rpartition("}")[2] for element in ET.parse(tmp_path / "figure.svg").iter()
    }
    assert elements & {"script", "a", "img", "image", "foreignObject"} == set()
    assert {"path", "use", "title"} & elements
    shown = [axis.title, *axis.get_yticklabels(), *figure.legends[0].get_texts()]
    assert {text.get_text() for text in shown} == set(names)
    assert not any(text.get_parse_math() for text in shown)
    assert all(number.get_parse_math() for number in axis.get_xticklabels())


def test_the_page_in_three_dimensions_shows_names_and_runs_none_of_them(tmp_path):
    elements = []
    for texts in (TEXTS, PLAIN):
        obs = pd.DataFrame(
            {"cell_type": pd.Categorical(list(texts.values()))},
            index=list(map(str, range(len(texts)))),
        )
        maps = ad.AnnData(
            obs=obs,
            obsm={"tsne_3d_seed_0": np.zeros((len(texts), 3), np.float32)},
            uns={"loss": '{"0": 1.0}'},
        )
        page = latent_space_3d({"d": texts["page"]}, {"m": texts["code"]}, {"d/m": maps})
        save(page, tmp_path / "page.html", "{}")
        elements.append(Page((tmp_path / "page.html").read_text()).elements)
    assert elements[0] == elements[1]


@given(
    st.recursive(
        st.text(), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner), max_leaves=5
    )
)
def test_a_parameter_of_a_notebook_is_a_value_whatever_it_holds(value):
    assert ast.literal_eval(PythonTranslator.translate(value)) == value


def test_code_in_a_parameter_of_a_notebook_does_not_run(tmp_path):
    given_to = nbformat.v4.new_code_cell("titles = {}", metadata={"tags": ["parameters"]})
    shown = nbformat.v4.new_code_cell(
        "import json\nfrom pathlib import Path\n\nPath(figure).write_text(json.dumps(titles))"
    )
    template = nbformat.v4.new_notebook(
        cells=[given_to, shown], metadata={"language_info": {"name": "python"}}
    )
    nbformat.write(template, tmp_path / "template.ipynb")
    titles = {text: [text] for text in TEXTS.values()}
    execute(
        "template.ipynb",
        "executed.ipynb",
        {"titles": titles, "figure": "titles.json"},
        library=tmp_path,
    )
    assert json.loads((tmp_path / "titles.json").read_text()) == titles


def test_titles_in_the_paper_are_typeset_as_they_are(tmp_path, config):
    build = Build(tmp_path, config)
    title = " ".join(text for kind, text in TEXTS.items() if kind not in ("template", "format"))
    build.titles["drugs"]["title"] = f"Study {title}"
    build.titles["drugs"]["datasets"] = dict.fromkeys(
        build.titles["drugs"]["datasets"], f"Data {title}"
    )
    build.titles["drugs"]["models"] = dict.fromkeys(
        build.titles["drugs"]["models"], f"Model {title}"
    )
    build.runs("drugs", "blobs", beta_vae=1)
    runs = build.tables["drugs", "runs"]
    runs["reason"] = runs["reason"].replace("the loss is nan", f"Reason {title}")
    words = build.words()
    for what in ("Study", "Data", "Model", "Reason"):
        assert " ".join(f"{what} {title}".split()) in words


@pytest.mark.workflow
def test_names_of_data_cannot_command_the_terminal(tmp_path):
    workflow = Workflow(tmp_path)
    title = "\x1b]0;title\x07"
    adata = as_anndata()
    adata.obs[title] = ["a", "b", "a"]
    adata.write_h5ad(tmp_path / "cells.h5ad")
    adata.obs[[title]].assign(kind=[f"{SHELL}", title, "b"]).to_csv(tmp_path / "labels.csv")
    files = {"counts": {"path": "cells.h5ad"}, "annotation": {"path": "labels.csv"}}
    columns = {"cell_type": "kind", "condition": "label"}
    datasets = {
        "mine": {"title": SHELL, "files": files, "columns": columns, "control": TEXTS["format"]}
    }
    study = {"title": SHELL, "datasets": ["mine"], "models": ["pca"], "seeds": [0]}
    workflow.configure(run=["x"], datasets=datasets, studies={"x": study})
    run = workflow.snakemake("--cores", "1", "results/data/mine/counts.h5ad")
    assert run.returncode == 1
    assert "\x1b" not in run.stdout
    said = [line for line in run.stdout.splitlines() if line.startswith("ingest mine: ")]
    assert len(said) == 2
    assert "column '\\x1b]0;title\\x07' of the annotation takes the place" in said[0]
    assert "a cell_type is called '\\x1b]0;title\\x07'" in said[1]
    assert not workflow.path("data/mine/counts.h5ad").exists()
