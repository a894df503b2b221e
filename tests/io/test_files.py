import json
import os
from dataclasses import replace
from importlib.metadata import version

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from sclatent.common.errors import UserError
from sclatent.io import contracts
from sclatent.io import imports as dependencies
from sclatent.io.atomic import replacing
from sclatent.io.by_seed import arrays_of, collect_seeds, failures_of
from sclatent.io.expression import read_genes, read_values
from sclatent.io.imports import LIBRARY, code_of
from sclatent.io.matrices import read_matrix, write_matrix
from sclatent.io.provenance import describe
from sclatent.io.records import read_record
from sclatent.io.tables import read_provenance, read_table, write_table
from sclatent.training.inputs import Input
from sclatent.training.model_with_input import ModelWithInput
from sclatent.training.saved import load_trained, save_run, trained_runs

ORIGIN = {"step": "test", "fingerprint": "0"}


@pytest.fixture
def history():
    return pd.DataFrame(
        {"epoch": [1, 2], "split": ["train"] * 2, "part": ["loss", "loss"], "value": [2.0, 1.0]}
    )


@pytest.fixture
def counts():
    obs = pd.DataFrame(
        {"cell_type": pd.Categorical(["a", "b"]), "pct_counts_mt": [1.0, np.nan]}, index=["x", "y"]
    )
    return ad.AnnData(
        obs=obs,
        var=pd.DataFrame(index=["g"]),
        layers={"counts": sparse.csr_matrix([[1], [0]], dtype=np.int32)},
    )


def test_what_a_killed_process_left_goes_with_the_next_writing(tmp_path):
    for name in (".123.file", ".123.other", ".hidden.file", "file"):
        (tmp_path / name).write_text("half")
    with replacing(tmp_path / "file") as temporary:
        temporary.write_text("whole")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        ".123.other": "half",
        ".hidden.file": "half",
        "file": "whole",
    }


def test_a_file_is_whole_or_absent(tmp_path):
    def write_half():
        with replacing(tmp_path / "file") as temporary:
            temporary.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list(tmp_path.iterdir()) == []
    with replacing(tmp_path / "new" / "file") as temporary:
        temporary.write_text("whole")
    assert os.listdir(tmp_path / "new") == ["file"]


def test_a_table_returns_as_it_was_with_its_provenance(tmp_path, history):
    write_table(history, tmp_path / "t.tsv", "history", ORIGIN)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.tsv", "history"), history)
    assert read_provenance(tmp_path / "t.tsv") == ORIGIN


def test_a_cell_called_na_is_not_a_missing_value(tmp_path):
    clusters = pd.DataFrame(
        {"cell": ["NA", "#1"], "seed": 0, "latent": "mean", "method": "m", "cluster": [0, 1]}
    )
    write_table(clusters, tmp_path / "t.tsv", "clusters", ORIGIN)
    assert list(read_table(tmp_path / "t.tsv", "clusters")["cell"]) == ["NA", "#1"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"value": ["a", "b"]}, "column value does not hold real"),
        ({"value": [1.0, np.nan]}, "column value"),
        ({"epoch": [1.5, 2.0]}, "column epoch does not hold whole"),
        ({"other": 1}, "columns are"),
    ],
)
def test_a_table_that_breaks_its_contract_is_not_written(tmp_path, history, change, words):
    with pytest.raises(ValueError, match=words):
        write_table(history.assign(**change), tmp_path / "t.tsv", "history", ORIGIN)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_table_is_refused(tmp_path, history):
    (tmp_path / "t.tsv").write_text("epoch\tpart\tvalue\n")
    with pytest.raises(UserError, match="is not a whole table"):
        read_table(tmp_path / "t.tsv", "history")
    write_table(history, tmp_path / "t.tsv", "history", ORIGIN)
    with pytest.raises(UserError, match="not a table of kind 'runs'"):
        read_table(tmp_path / "t.tsv", "runs")


def test_a_table_that_is_not_as_it_was_written_is_refused(tmp_path, history):
    path = tmp_path / "t.tsv"
    write_table(history, path, "history", ORIGIN)
    content = path.read_bytes()
    rows = content.splitlines(keepends=True)
    others = content.replace(b"2.0", b"2.5"), b"\xff" + content
    for damaged in (content[:-1], content[:-2], b"".join(rows[:-1]), content[:20], b"", *others):
        path.write_bytes(damaged)
        with pytest.raises(
            UserError,
            match=r"t\.tsv is not a whole table \(.*\); delete it and run the same command again",
        ):
            read_table(path, "history")


def test_a_matrix_returns_as_it_was_and_is_written_alike_twice(tmp_path, counts):
    for name in ("a.h5ad", "b.h5ad"):
        write_matrix(counts.copy(), tmp_path / name, "counts", ORIGIN)
    assert (tmp_path / "a.h5ad").read_bytes() == (tmp_path / "b.h5ad").read_bytes()
    read = read_matrix(tmp_path / "a.h5ad")
    assert json.loads(read.uns["provenance"]) == ORIGIN
    assert read.layers["counts"].toarray().tolist() == [[1], [0]]


def test_a_matrix_that_breaks_its_contract_is_not_written(tmp_path, counts):
    breaks = {
        "layers/counts is not csr int32": lambda a: a.layers.update(
            counts=a.layers["counts"].astype(np.float32)
        ),
        "negative counts": lambda a: a.layers.update(counts=-a.layers["counts"]),
        "obs/cell_type is not text": lambda a: setattr(
            a, "obs", a.obs.assign(cell_type=[1.0, 2.0])
        ),
        "obs/pct_counts_mt is missing": lambda a: setattr(
            a, "obs", a.obs.drop(columns="pct_counts_mt")
        ),
    }
    for words, spoil in breaks.items():
        spoilt = counts.copy()
        spoil(spoilt)
        with pytest.raises(ValueError, match=words):
            write_matrix(spoilt, tmp_path / "c.h5ad", "counts", ORIGIN)
    assert list(tmp_path.iterdir()) == []


def test_latents_that_are_not_finite_are_not_written(tmp_path, counts):
    latents = collect_seeds(
        counts.obs, {("mean", 0): np.array([[0.0], [np.inf]], dtype=np.float32)}, {}
    )
    with pytest.raises(ValueError, match="not finite"):
        write_matrix(latents, tmp_path / "l.h5ad", "latents", ORIGIN)


def test_a_broken_matrix_is_named(tmp_path):
    (tmp_path / "x.h5ad").write_bytes(b"no")
    with pytest.raises(UserError, match=r"x\.h5ad is not a whole \.h5ad file"):
        read_matrix(tmp_path / "x.h5ad")


def test_a_matrix_that_is_damaged_anywhere_is_refused_or_reads_as_it_was(tmp_path):
    def read(path):
        adata, values = read_matrix(path), read_values(path)
        return (
            adata.X.toarray().tobytes(),
            adata.obs.to_csv(),
            list(read_genes(path)),
            values.dense().tobytes(),
        )

    rng = np.random.default_rng(0)
    obs = pd.DataFrame(
        {"split": pd.Categorical(["train", "held_out"] * 50)},
        index=[f"cell_{i}" for i in range(100)],
    )
    var = pd.DataFrame(index=[f"gene_{i}" for i in range(30)])
    ad.AnnData(
        sparse.csr_matrix(rng.poisson(1.0, (100, 30)).astype(np.float32)), obs, var
    ).write_h5ad(tmp_path / "x.h5ad", compression="gzip")
    content, path, refusals = (tmp_path / "x.h5ad").read_bytes(), tmp_path / "y.h5ad", []
    for start in np.linspace(0, len(content), 40, endpoint=False, dtype=int):
        garbled = content[:start] + rng.bytes(300) + content[start + 300 :]
        for damaged in (content[:start], garbled[: len(content)]):
            path.write_bytes(damaged)
            try:
                assert read(path) == read(tmp_path / "x.h5ad")
            except UserError as error:
                refusals.append(str(error))
    assert len(refusals) > 50
    assert {text for text in refusals if "y.h5ad is not a whole .h5ad file" not in text} == set()


def test_seeds_lie_side_by_side(tmp_path, counts):
    arrays = {
        (name, seed): np.full((2, 3), seed, dtype=np.float32)
        for seed in (2, 10)
        for name in ("mean", "sample")
    }
    write_matrix(
        collect_seeds(counts.obs, arrays, {3: "why"}), tmp_path / "l.h5ad", "latents", ORIGIN
    )
    read = read_matrix(tmp_path / "l.h5ad")
    assert list(arrays_of(read)) == [("mean", 2), ("sample", 2), ("mean", 10), ("sample", 10)]
    assert arrays_of(read)["mean", 10].max() == 10
    assert failures_of(read) == {3: "why"}


def test_a_model_returns_from_its_files(tmp_path):
    settings = {"scale": True, "max_value": 10.0, "n_pcs": 3, "mask": 0.5}
    trained = ModelWithInput(
        "cvae",
        {"latent_dim": 2},
        Input(6, **settings, genes=torch.tensor([5, 0, 1, 3])),
        4,
        ["a", "b"],
    )
    trained.input.mean.fill_(2.0)
    files = tmp_path / "w.safetensors", tmp_path / "run.json"
    record = {"family": "cvae", "hyperparameters": {"latent_dim": 2}, "input": settings}
    record |= {"n_vars": 6, "n_counts": 4, "conditions": ["a", "b"]}
    save_run(trained, *files, record, "", ORIGIN)
    again = load_trained(*files)
    assert set(again.state_dict()) == set(trained.state_dict())
    assert all(
        torch.equal(again.state_dict()[name], value) for name, value in trained.state_dict().items()
    )
    assert (again.model.n_features, again.model.n_vars, again.model.n_conditions) == (3, 4, 2)
    assert (again.input.max_value, again.input.mask, again.training) == (10.0, 0.5, False)
    assert read_record(files[1])["status"] == "trained"
    files[0].write_bytes(files[0].read_bytes()[:100])
    with pytest.raises(UserError, match="does not hold what"):
        load_trained(*files)


def test_a_failed_run_leaves_a_record_and_no_weights(tmp_path):
    files = tmp_path / "w.safetensors", tmp_path / "run.json"
    save_run(None, *files, {"family": "vae"}, "it exploded", ORIGIN)
    record = read_record(files[1])
    assert (record["status"], record["reason"]) == ("failed", "it exploded")


def test_the_runs_of_all_seeds_are_tried_each_with_its_own_seed(tmp_path, monkeypatch):
    seeded = []
    monkeypatch.setattr(
        "sclatent.training.saved.make_deterministic",
        lambda seed, threads: seeded.append((seed, threads)),
    )
    record = {"family": "pca", "hyperparameters": {"latent_dim": 2}, "input": {}}
    record |= {"n_vars": 6, "n_counts": None, "conditions": []}
    weights = [tmp_path / f"{seed}.safetensors" for seed in range(3)]
    runs = [tmp_path / f"{seed}.json" for seed in range(3)]
    for seed in range(3):
        trained = ModelWithInput("pca", {"latent_dim": 2}, Input(6), None, [])
        trained.model.mean.fill_(seed)
        failed = seed == 1
        reason = "it exploded" if failed else ""
        save_run(None if failed else trained, weights[seed], runs[seed], record, reason, ORIGIN)

    def mean_above(model, limit, by):
        mean = model.model.mean[0].item()
        if mean > limit:
            raise ValueError(f"{mean} is above")
        return mean + by

    results = [
        (run.seed, run.attempt(mean_above, 1, by=0.5), run.reason)
        for run in trained_runs(range(3), weights, runs, "cpu", 4)
    ]
    assert results == [
        (0, 0.5, ""),
        (1, None, "it exploded"),
        (2, None, "ValueError: 2.0 is above"),
    ]
    assert seeded == [(0, 4), (2, 4)]


def test_the_fingerprint_follows_every_entry(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    base = {
        "step": "s",
        "settings": {"x": 1},
        "inputs": [tmp_path / "a"],
        "code": [tmp_path / "a"],
        "seed": 0,
        "threads": 1,
    }
    changes = {
        "step": "t",
        "settings": {"x": 2},
        "inputs": [tmp_path / "b"],
        "code": [tmp_path / "b"],
        "seed": 1,
        "threads": 2,
        "device": "cuda",
    }
    prints = {describe(**{**base, key: value})["fingerprint"] for key, value in changes.items()}
    assert len(prints) == len(changes)
    assert describe(**base)["fingerprint"] not in prints
    assert describe(**base) == describe(**base)


def test_the_packages_of_a_record_are_those_that_the_code_imports(tmp_path):
    for name, code in {
        "a.py": "import igraph",
        "b.py": "from pyarrow import parquet\nimport dask, scipyx",
        "c.py": "def later():\n    from umap import UMAP",
        "d.py": "from anndata.io import read_loom",
    }.items():
        (tmp_path / name).write_text(code)

    def packages(*names):
        code = [tmp_path / name for name in names]
        return describe(step="s", settings={}, inputs=[], code=code)["packages"]

    assert packages("a.py") == {"igraph": version("igraph")}
    assert packages("b.py", "a.py") == {name: version(name) for name in ("igraph", "pyarrow")}
    assert packages("c.py").keys() == {
        "numba",
        "pynndescent",
        "scikit-learn",
        "scipy",
        "umap-learn",
    }
    assert packages("d.py").keys() == {"anndata", "loompy"}


def test_the_fingerprint_of_a_contract_follows_its_form_and_no_meaning(monkeypatch):
    kinds = ("runs", "counts")
    before = contracts.fingerprint(*kinds)
    seed, slot = contracts.TABLES["runs"]["seed"], contracts.MATRICES["counts"][0]
    assert len(before) == 16
    assert before == contracts.fingerprint(*kinds)
    assert before not in (contracts.fingerprint(kind) for kind in kinds)

    def changed(**entries):
        with monkeypatch.context() as patch:
            if "slot" in entries:
                patch.setitem(contracts.MATRICES, "counts", [entries["slot"]])
            for name in entries.keys() - {"slot"}:
                patch.setitem(contracts.TABLES["runs"], name, entries[name])
            return contracts.fingerprint(*kinds)

    monkeypatch.setitem(contracts.MATRICES, "counts", [slot])
    before = contracts.fingerprint(*kinds)
    same = [
        changed(seed=replace(seed, meaning="another sentence")),
        changed(slot=replace(slot, meaning="another sentence")),
    ]
    other = [
        changed(seed=replace(seed, type="text")),
        changed(seed=replace(seed, optional=True)),
        changed(extra=seed),
        changed(slot=replace(slot, form="dense float32")),
        changed(slot=replace(slot, optional=False)),
        changed(slot=replace(slot, path="X")),
    ]
    assert set(same) == {before}
    assert len({before, *other}) == 7
    with pytest.raises(KeyError):
        contracts.fingerprint("unknown")


def test_a_script_rests_on_the_files_that_it_imports_and_no_others():
    def names(*starts):
        return {
            str(path.relative_to(LIBRARY))
            for path in code_of([LIBRARY.parent / start for start in starts])
        }

    of_training = names("train.py", "sclatent/models/vsc.py")
    assert of_training >= {"training/loop.py", "models/vsc.py", "models/variational.py"}
    assert not of_training & {"metrics/agreement.py", "models/gmvae.py", "figures/style.py"}
    assert "models/variational.py" not in names("train.py", "sclatent/models/pca.py")
    of_score = names("score.py")
    assert of_score >= {"metrics/agreement.py", "metrics/mixing.py"}
    assert "training/loop.py" not in of_score
    assert names("figures.py", "sclatent/figures/score_heatmap.py") >= {
        "figures/score_heatmap.py",
        "pipeline/notebooks.py",
    }


def test_relative_imports_are_followed(tmp_path, monkeypatch):
    library = tmp_path / "sclatent"
    (library / "models").mkdir(parents=True)
    for name, text in [
        ("networks", ""),
        ("models/a", "from . import b\nfrom ..networks import mlp\n"),
        ("models/b", "import os\n"),
    ]:
        (library / f"{name}.py").write_text(text)
    monkeypatch.setattr(dependencies, "LIBRARY", library)
    found = code_of([library / "models" / "a.py"])
    assert {str(path.relative_to(library)) for path in found} == {
        "models/a.py",
        "models/b.py",
        "networks.py",
    }


def test_values_are_those_of_the_matrix(tmp_path):
    x = sparse.random(6, 4, density=0.5, format="csr", dtype=np.float32, random_state=0)
    split = pd.Categorical(["train"] * 4 + ["held_out"] * 2)
    adata = ad.AnnData(x, obs=pd.DataFrame({"split": split}, index=list("abcdef")))
    adata.write_h5ad(tmp_path / "x.h5ad")
    values = read_values(tmp_path / "x.h5ad")
    np.testing.assert_array_equal(values.dense(), x.toarray())
    assert list(values.cells[values.training]) == list("abcd")
    adata.var["mean"], adata.var["std"] = np.arange(4.0), [0.5, 1.0, 0.0, 2.0]
    adata.uns["max_value"] = 1.5
    adata.write_h5ad(tmp_path / "x.h5ad")
    scaled = np.clip((x.toarray() - [0, 1, 2, 3]) / [0.5, 1, 1, 2], -1.5, 1.5)
    np.testing.assert_allclose(
        read_values(tmp_path / "x.h5ad").dense(slice(1, 3)), scaled[1:3], rtol=1e-6
    )
    (tmp_path / "y.h5ad").write_bytes(b"no")
    with pytest.raises(UserError, match="not a whole"):
        read_values(tmp_path / "y.h5ad")


def test_a_missing_matrix_is_named(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        read_matrix(tmp_path / "x.h5ad")
