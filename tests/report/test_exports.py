"""What leaves the project: an AnnData per data set for scanpy, and tables as Parquet."""

import json
import re

import anndata as ad
import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scanpy as sc
from helpers import job
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from scipy import sparse

import export_cells
import export_tables
from sclatent.common.errors import UserError
from sclatent.io.by_seed import collect_seeds, with_losses
from sclatent.io.contracts import TABLES
from sclatent.io.matrices import read_matrix, write_matrix
from sclatent.io.tables import as_kind, read_table, write_table
from sclatent.report.exports import add_model, write_parquet

matplotlib.use("Agg")

CELLS = [f"cell_{i}" for i in range(30)]
N_CLUSTERS = 12  # more than ten, so that their order as text is not that of their numbers
MODELS = {"mixture": "A mixture", "ae": "Autoencoder", "broken": "Never trained"}
LOSSES = {"mixture": {0: 3.0, 2: 1.5, 10: 2.0}, "ae": {0: 0.5, 2: 0.75, 10: 0.6}, "broken": {}}
BEST = {"mixture": 2, "ae": 0}
TWO_DIMENSIONS = {f"X_{model}_{name}" for model in BEST for name in ("umap", "tsne")} | {
    "X_mixture_w"
}
EXPORTED = {
    *TWO_DIMENSIONS,
    *(f"X_{model}" for model in BEST),
    *(f"X_{model}_tsne_3d" for model in BEST),
    "mixture_responsibilities",
}


def array_of(name: str, seed: int, width: int) -> np.ndarray:
    """An array of the cells that no other name and seed has; each row sums to 1."""
    values = np.random.default_rng([seed, *name.encode()]).random((len(CELLS), width))
    return (values / values.sum(axis=1, keepdims=True)).astype(np.float32)


def clusters_of(seed: int, method: str) -> np.ndarray:
    return np.random.default_rng([seed, *method.encode()]).permutation(
        np.arange(len(CELLS)) % N_CLUSTERS
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder with the results of three models on a data set: a mixture, one that is none, and
    one that always failed.
    """
    folder = tmp_path_factory.mktemp("results")
    labels = {
        "cell_type": list("abc") * 10,
        "condition": ["ctrl", "stim"] * 15,
        "split": ["train"] * 20 + ["held_out"] * 10,
    }
    obs = pd.DataFrame(
        {name: pd.Categorical(values) for name, values in labels.items()}, index=CELLS
    )
    obs["pct_counts_mt"] = np.nan
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(1.0, (30, 5)).astype(np.int32))
    data = ad.AnnData(
        counts.astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(5)])
    )
    data.layers["counts"] = counts
    data.uns["control"] = "ctrl"
    write_matrix(data, folder / "preprocessed.h5ad", "preprocessed", {})
    umap = ad.AnnData(obs=obs[["cell_type"]])
    for model, losses in LOSSES.items():
        widths = {"mean": 4, "sample": 4} | (
            {"responsibilities": 11, "w_mean": 2} if model == "mixture" else {}
        )
        arrays = {
            (name, seed): array_of(model + name, seed, width)
            for name, width in widths.items()
            for seed in losses
        }
        failed = {seed: "it exploded" for seed in (0, 2, 7, 10) if seed not in losses}
        latents = with_losses(collect_seeds(obs, arrays, failed), losses, "held_out")
        write_matrix(latents, folder / f"{model}_latents.h5ad", "latents", {})
        maps = {("tsne_2d", seed): array_of(model + "tsne", seed, 2) for seed in losses}
        if model in BEST:
            maps["tsne_3d", BEST[model]] = array_of(model + "tsne", BEST[model], 3)
            umap.obsm[f"umap_{model}_seed_{BEST[model]}"] = array_of(model + "umap", BEST[model], 2)
        write_matrix(
            collect_seeds(obs, maps, failed), folder / f"{model}_tsne.h5ad", "embedding", {}
        )
        tables = [
            pd.DataFrame(
                {
                    "cell": CELLS,
                    "seed": seed,
                    "latent": latent,
                    "method": method,
                    "cluster": clusters_of(seed, method),
                }
            )
            for seed in losses
            for latent in ("sample", "mean")
            for method in ("kmeans_latent", "louvain_latent", "leiden_latent", "leiden_oracle")
        ]
        shuffled = [
            table.assign(cluster=0) if (table["latent"] == "sample").all() else table[::-1]
            for table in tables
        ]
        table = pd.concat(shuffled) if tables else pd.DataFrame()
        write_table(as_kind(table, "clusters"), folder / f"{model}_clusters.tsv", "clusters", {})
    write_matrix(umap, folder / "umap.h5ad", "umap", {})
    return folder


def export(results, path):
    """Run the job that exports the cells, and return where it wrote."""
    kinds = {"latents": "latents.h5ad", "tsne": "tsne.h5ad", "clusters": "clusters.tsv"}
    of_models = {
        kind: [str(results / f"{model}_{name}") for model in MODELS] for kind, name in kinds.items()
    }
    files = {"data": results / "preprocessed.h5ad", "umap": results / "umap.h5ad", **of_models}
    params, wildcards = {"title": "Data", "models": MODELS}, {"study": "s", "dataset": "d"}
    export_cells.main(job("export_cells", files, [path], params, wildcards))
    return path


@pytest.fixture(scope="module")
def exported(results, tmp_path_factory):
    return export(results, tmp_path_factory.mktemp("exports") / "d.h5ad")


def test_each_model_has_the_arrays_of_the_seed_with_the_lowest_loss(exported):
    adata = ad.read_h5ad(exported)
    assert set(adata.obsm) == EXPORTED
    for model, seed in BEST.items():
        np.testing.assert_array_equal(adata.obsm[f"X_{model}"], array_of(model + "mean", seed, 4))
        np.testing.assert_array_equal(
            adata.obsm[f"X_{model}_umap"], array_of(model + "umap", seed, 2)
        )
        np.testing.assert_array_equal(
            adata.obsm[f"X_{model}_tsne"], array_of(model + "tsne", seed, 2)
        )
        np.testing.assert_array_equal(
            adata.obsm[f"X_{model}_tsne_3d"], array_of(model + "tsne", seed, 3)
        )
    np.testing.assert_array_equal(adata.obsm["X_mixture_w"], array_of("mixturew_mean", 2, 2))
    np.testing.assert_array_equal(
        adata.obsm["mixture_responsibilities"], array_of("mixtureresponsibilities", 2, 11)
    )


def test_clusters_are_those_of_the_mean_latent_cell_by_cell_in_the_order_of_their_numbers(exported):
    obs = ad.read_h5ad(exported).obs
    for model, seed in BEST.items():
        for name in ("kmeans", "louvain", "leiden"):
            assert (
                obs[f"{model}_{name}"].astype(int).tolist()
                == clusters_of(seed, f"{name}_latent").tolist()
            )
            assert list(obs[f"{model}_{name}"].cat.categories) == [
                str(i) for i in range(N_CLUSTERS)
            ]
    shares = array_of("mixtureresponsibilities", 2, 11)
    assert obs["mixture_component"].astype(int).tolist() == shares.argmax(axis=1).tolist()
    assert obs["mixture_responsibility"].tolist() == shares.max(axis=1).tolist()
    assert not [name for name in obs if name.startswith(("broken", "ae_component"))]


def test_the_choice_of_seeds_and_what_failed_are_told(exported):
    told = ad.read_h5ad(exported).uns["sclatent"]
    assert (told["study"], told["title"]) == ("s", "Data")
    models = told["models"]
    assert {model: choice["title"] for model, choice in models.items()} == MODELS
    assert {model: choice.get("seed") for model, choice in models.items()} == {
        **BEST,
        "broken": None,
    }
    for model, losses in LOSSES.items():
        assert models[model]["loss"] == {str(seed): loss for seed, loss in losses.items()}
        assert models[model]["loss_cells"] == "held_out"
        assert models[model]["failed"] == {
            str(seed): "it exploded" for seed in (0, 2, 7, 10) if seed not in losses
        }


def test_the_data_are_those_that_models_saw_with_their_provenance(results, exported):
    adata, data = ad.read_h5ad(exported), ad.read_h5ad(results / "preprocessed.h5ad")
    np.testing.assert_array_equal(adata.X.toarray(), data.X.toarray())
    np.testing.assert_array_equal(adata.layers["counts"].toarray(), data.layers["counts"].toarray())
    pd.testing.assert_frame_equal(adata.obs[list(data.obs)], data.obs)
    assert adata.uns["control"] == "ctrl"
    origin = json.loads(adata.uns["provenance"])
    assert origin["step"] == "export_cells"
    assert {path.rsplit("/", 1)[1] for path in origin["inputs"]} == {
        path.name for path in results.iterdir()
    }


def test_scanpy_draws_every_map_and_cellxgene_s_rules_hold(exported):
    adata = sc.read_h5ad(exported)
    maps = {
        name
        for name, values in adata.obsm.items()
        if name.startswith("X_") and values.shape[1] == 2
    }
    assert maps == TWO_DIMENSIONS
    for name in maps:
        for color in ("cell_type", "mixture_component", "mixture_responsibility", "ae_leiden"):
            axes = sc.pl.embedding(adata, basis=name, color=color, sort_order=False, show=False)
            np.testing.assert_array_equal(axes.collections[0].get_offsets(), adata.obsm[name])
            matplotlib.pyplot.close("all")
    assert adata.obs_names.is_unique
    assert adata.var_names.is_unique
    for name, column in adata.obs.items():
        assert isinstance(column.dtype, pd.CategoricalDtype) or column.dtype.kind == "f", name
        if isinstance(column.dtype, pd.CategoricalDtype):
            assert set(map(type, column.cat.categories)) == {str}, name
    for name, values in adata.obsm.items():
        assert (values.dtype, values.flags.c_contiguous, np.isfinite(values).all()) == (
            np.float32,
            True,
            True,
        ), name


def test_two_exports_are_the_same_bytes(results, exported, tmp_path):
    assert export(results, tmp_path / "again.h5ad").read_bytes() == exported.read_bytes()


def test_models_whose_slots_have_the_same_name_are_refused(results):
    adata, latents, tsne, umap = (
        read_matrix(results / f"{name}.h5ad")
        for name in ("preprocessed", "ae_latents", "ae_tsne", "umap")
    )
    adata.obsm["X_ae_umap"] = array_of("ae_umap", 0, 4)  # the latent of a model of that name
    with pytest.raises(
        UserError,
        match=re.escape("model 'ae' and another model would both be exported as obsm['X_ae_umap']"),
    ):
        add_model(
            adata, "ae", latents, tsne, umap, read_table(results / "ae_clusters.tsv", "clusters")
        )


def tables_of(kind: str):
    """Tables of a kind with any values, and missing ones where they may be."""
    words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), min_size=1)
    reals = st.floats(allow_nan=False) | st.integers(-5, 5).map(float)
    values = {"text": words, "whole": st.integers(-(2**63), 2**63 - 1), "real": reals}
    cells = [
        st.none() | values[c.type] if c.optional else values[c.type] for c in TABLES[kind].values()
    ]
    rows = st.lists(st.tuples(*cells), max_size=4)
    return rows.map(lambda found: as_kind(table_of(found, kind), kind))


def table_of(rows: list[tuple], kind: str) -> pd.DataFrame:
    """A table of rows; whole numbers stay whole beside missing ones."""
    dtypes = {name: "Int64" for name, column in TABLES[kind].items() if column.type == "whole"}
    columns = zip(*rows, strict=True) if rows else [()] * len(TABLES[kind])
    named = zip(TABLES[kind], columns, strict=True)
    return pd.DataFrame(
        {name: pd.Series(list(column), dtype=dtypes.get(name, object)) for name, column in named}
    )


def export_table(table: pd.DataFrame, folder, kind: str):
    """Write a table as the workflow does, export it, and return both paths."""
    source, path = folder / f"{kind}.tsv", folder / "exports" / f"{kind}.parquet"
    write_table(table, source, kind, {"step": "collect"})
    export_tables.main(
        job("export_tables", {"tables": [str(source)]}, [path], {"kinds": [kind]}, {"study": "s"})
    )
    return source, path


@pytest.mark.parametrize("kind", TABLES)
@settings(max_examples=15)
@given(data=st.data())
def test_a_table_is_the_same_as_parquet_in_every_value_and_type(kind, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write_table(data.draw(tables_of(kind)), folder / "t.tsv", kind, {})
    expected = read_table(folder / "t.tsv", kind)
    write_parquet(expected, folder / "t.parquet", kind, {})
    found = pd.read_parquet(folder / "t.parquet")
    assert found.dtypes.to_dict() == expected.dtypes.to_dict()
    found, expected = (
        table.astype(object).where(table.notna(), None) for table in (found, expected)
    )
    pd.testing.assert_frame_equal(found, expected)


def test_an_empty_table_keeps_its_columns_and_types(tmp_path):
    _, path = export_table(as_kind(pd.DataFrame(), "perturbation"), tmp_path, "perturbation")
    schema = parquet.read_schema(path)
    types = {"text": pa.string(), "whole": pa.int64(), "real": pa.float64()}
    assert dict(zip(schema.names, schema.types, strict=True)) == {
        n: types[c.type] for n, c in TABLES["perturbation"].items()
    }
    assert [field.nullable for field in schema] == [
        column.optional for column in TABLES["perturbation"].values()
    ]
    assert pd.read_parquet(path)["seed"].dtype == "Int64"


RUNS = pd.DataFrame(
    {
        "dataset": "d",
        "model": "m",
        "seed": [0, 1],
        "status": ["trained", "failed"],
        "reason": [None, "why"],
    }
)


def test_a_parquet_table_knows_its_provenance_and_is_written_alike_twice(tmp_path):
    source, path = export_table(RUNS, tmp_path, "runs")
    origin = json.loads(parquet.read_schema(path).metadata[b"provenance"])
    assert (origin["step"], list(origin["inputs"])) == ("export_tables", [str(source)])
    before = path.read_bytes()
    assert export_table(RUNS, tmp_path, "runs")[1].read_bytes() == before


def test_a_table_that_lacks_a_value_that_it_must_have_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="non-nullable"):
        write_parquet(RUNS.assign(status=[None, "failed"]), tmp_path / "runs.parquet", "runs", {})
    assert list(tmp_path.iterdir()) == []
