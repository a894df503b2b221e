"""The workflow as its users run it, in copies of the project with small studies."""

import gzip
import json
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

import anndata as ad
import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from helpers import CHEAP, PROJECT, SNAKEMAKE, Workflow, differing
from pyarrow import parquet
from scipy import sparse
from scipy.io import mmwrite
from small_study import DOTS, QUICK, SMALL, TOY, TOY_HYPERPARAMETERS

from sclatent.io.by_seed import arrays_of
from sclatent.io.matrices import read_matrix
from sclatent.io.provenance import sha256_of
from sclatent.io.tables import read_provenance, read_table

FIGURES = [
    "quality_control",
    "training",
    "latent_space",
    "louvain",
    "latent_parts",
    "confusion",
    "drawn_cells",
    "score_heatmap",
]
# As wide as the floor that each study has, so that no other floor comes with a model.
WIDE = {"latent_dim": 50}
REPORTING = ["Writing the first page of the report", "Building the report"]


def planned(workflow: Workflow, *arguments: str) -> set[str]:
    """What a dry run says it would do, by the messages of its jobs."""
    run = workflow.snakemake("-n", *arguments)
    assert run.returncode == 0, run.stdout
    return set(re.findall(r"^Job \d+: (.*)$", run.stdout, re.MULTILINE))


def test_a_new_model_needs_one_file_and_one_entry(finished):
    scores = read_table(finished.path("studies/small/scores.tsv"), "scores")
    toy = scores[scores["model"] == "toy"]
    methods = {f"{name}_latent" for name in ("kmeans", "louvain", "leiden")} | {
        "louvain_oracle",
        "leiden_oracle",
        "kmeans_tsne",
    }
    assert set(toy["method"]) == {*methods, "latent"}
    agreement = toy[~toy["metric"].isin(["n_clusters", "n_missed"])]
    assert agreement["value"].between(-1, 1).all()
    floors = toy.loc[toy["method"] == "kmeans_latent", "floor"]
    floor = scores[
        (scores["model"] == "floor.pca_50")
        & (scores["seed"] == 0)
        & (scores["method"] == "kmeans_latent")
    ]
    assert floors.tolist() == floor["value"].tolist()


def test_a_failed_seed_is_a_row_with_its_reason_and_the_others_go_on(finished):
    runs = read_table(finished.path("studies/small/runs.tsv"), "runs").set_index(["model", "seed"])
    trained = {
        ("toy", 0),
        *((model, seed) for model in ("drawing", "floor.pca_50") for seed in (0, 7)),
    }
    assert {run for run, status in runs["status"].items() if status == "trained"} == trained
    assert runs.loc[("toy", 7), "reason"] == "loss part 'loss' is nan in epoch 1, step 1"
    assert (
        runs.loc[("wide", 0), "reason"]
        == "4000 principal components must be below 693 for data of (693, 765)"
    )
    summary = (
        read_table(finished.path("studies/small/summary.tsv"), "summary").groupby("model").first()
    )
    assert summary["n"].to_dict() == {"drawing": 2, "toy": 1, "wide": 0, "floor.pca_50": 2}
    assert summary["failed_share"].to_dict() == {
        "drawing": 0.0,
        "toy": 0.5,
        "wide": 1.0,
        "floor.pca_50": 0.0,
    }
    for figure, words in {
        "latent_space": "every seed failed",
        "score_heatmap": "100% failed",
    }.items():
        assert (
            f"<!-- {words} -->"
            in finished.path(f"studies/small/figures/{figure}/pbmc68k_reduced.svg").read_text()
        )
    assert "TrainingError" in finished.path("logs/train/pbmc68k_reduced/toy/7.log").read_text()


def test_a_run_ends_with_the_headline_and_the_report(finished):
    end = finished.stdout[finished.stdout.index("Small: mean ± sd over 2 seeds") :]
    assert re.search(r"PBMC 68k \(reduced\)  Toy .* 1 of 2", end)
    assert re.search(r"PBMC 68k \(reduced\)  More components than cells +–.* 2 of 2", end)
    assert "Report: results/report.html" in end
    report = finished.path("report.html").read_text()
    for words in ("Latent spaces", "Headline", "configuration.yaml", "PCA is the floor"):
        assert words in report


@pytest.mark.workflow
def test_a_second_run_finds_nothing_to_do(run):
    assert "Nothing to be done" in run.snakemake("--cores", "2").stdout


def test_every_output_records_where_it_comes_from(finished):
    records = {}
    for path in finished.path("").rglob("*"):
        name = str(path.relative_to(finished.path("")))
        if name.startswith(("logs/", "benchmarks/", "files/")) or path.is_dir():
            continue
        if path.suffix == ".h5ad":
            records[name] = json.loads(read_matrix(path).uns["provenance"])
        elif path.suffix in (".tsv", ".yaml", ".txt"):
            records[name] = read_provenance(path)
        elif path.suffix == ".ipynb":
            text = "".join(cell.source for cell in nbformat.read(path, 4).cells)
            records[name] = json.loads(
                json.loads(re.search(r"^provenance = (\".*\")$", text, re.MULTILINE)[1])
            )
        elif path.suffix == ".json":
            records[name] = json.loads(path.read_text())["provenance"]
        elif path.suffix == ".parquet":
            records[name] = json.loads(parquet.read_schema(path).metadata[b"provenance"])
        elif path.suffix == ".rst":
            records[name] = json.loads(path.read_text().split("\n\n")[0].removeprefix(".. "))
        elif path.suffix in (".html", ".svg", ".pdf", ".safetensors"):
            assert b"fingerprint" in path.read_bytes(), name
    assert {name for name, record in records.items() if len(record["fingerprint"]) != 64} == set()
    exports = {path.name for path in finished.path("studies/small/exports").iterdir()}
    assert {"pbmc68k_reduced.h5ad", "runs.parquet", "perturbation.parquet"} <= exports
    trained = records["runs/pbmc68k_reduced/toy/0/run.json"]
    assert (trained["seed"], trained["threads"], trained["device"]) == (0, 1, "cpu")
    assert trained["packages"]["torch"].startswith("2.13.0")
    assert "results/data/pbmc68k_reduced/preprocessed.h5ad" in trained["inputs"]


def test_figures_are_drawn_and_their_notebooks_kept(finished):
    figures = finished.path("studies/small/figures")
    notebooks = sorted(figures.rglob("*.ipynb"))
    names = {
        "latent_space_3d/all.ipynb",
        *(f"{figure}/pbmc68k_reduced.ipynb" for figure in FIGURES),
    }
    assert {str(path.relative_to(figures)) for path in notebooks} == names
    for path in notebooks:
        assert all(
            cell.execution_count
            for cell in nbformat.read(path, 4).cells
            if cell.cell_type == "code"
        )
        if path.stem == "all":
            assert "Plotly.newPlot" in path.with_suffix(".html").read_text()
        else:
            ET.parse(path.with_suffix(".svg"))
            assert path.with_suffix(".pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.workflow
def test_a_figure_is_drawn_anew_without_training_anything(run):
    figure = "results/studies/small/figures/confusion/pbmc68k_reduced.svg"
    (run.folder / figure).unlink()
    assert planned(run, figure) == {"Drawing confusion of pbmc68k_reduced"}


@pytest.mark.workflow
def test_the_written_configuration_is_that_of_the_run(finished):
    figure = "results/studies/small/figures/confusion/pbmc68k_reduced.svg"
    written = ("--configfile", "results/configuration.yaml")
    assert planned(finished, "--force", figure, *written) == {
        "Drawing confusion of pbmc68k_reduced"
    }
    assert planned(finished, *written) == set()


@pytest.mark.workflow
def test_a_change_reruns_what_depends_on_it_and_nothing_else(run):
    library = run.folder / "scripts" / "sclatent"
    toy = library / "models" / "toy.py"
    toy.write_text(TOY + "\nCHANGED = True\n")
    trainings = {job for job in planned(run) if job.startswith("Training")}
    assert trainings == {f"Training toy on pbmc68k_reduced, seed {seed}" for seed in (0, 7)}
    toy.write_text(TOY)
    for file in (library / "io" / "contracts.py", library / "figures" / "confusion.py"):
        file.write_text(file.read_text() + "\nCHANGED = True\n")
    assert planned(run) == {"Drawing confusion of pbmc68k_reduced", *REPORTING}, (
        "contracts make nothing stale"
    )
    style = library / "figures" / "style.py"
    style.write_text(style.read_text() + "\nCHANGED = True\n")
    drawings = {job for job in planned(run) if job.startswith("Drawing")}
    expected = {f"Drawing {figure} of pbmc68k_reduced" for figure in FIGURES} | {
        "Drawing latent_space_3d of all"
    }
    assert drawings >= expected
    assert planned(run) == {*drawings, *REPORTING}
    jobs = planned(run, "--config", "studies={small: {clustering: {n_init: 4}}}")
    assert {"Clustering pbmc68k_reduced in the latents of toy", "Scoring pbmc68k_reduced"} <= jobs
    assert not {
        job
        for job in jobs
        if job.startswith(("Training", "Encoding", "Drawing t-SNE", "Drawing UMAP"))
    }


@pytest.mark.workflow
def test_a_script_runs_alone_to_the_same_bytes(run):
    for script, wildcards, output in [
        (
            "train",
            ["dataset=pbmc68k_reduced", "model=toy", "seed=0"],
            "runs/pbmc68k_reduced/toy/0/weights.safetensors",
        ),
        (
            "embed_tsne",
            ["study=small", "dataset=pbmc68k_reduced", "model=toy"],
            "studies/small/pbmc68k_reduced/toy/tsne.h5ad",
        ),
        (
            "score",
            ["study=small", "dataset=pbmc68k_reduced"],
            "studies/small/pbmc68k_reduced/scores.tsv",
        ),
    ]:
        path = run.path(output)
        expected = path.read_bytes()
        path.unlink()
        subprocess.run(
            [sys.executable, f"scripts/{script}.py", *wildcards], cwd=run.folder, check=True
        )
        assert path.read_bytes() == expected
    for wildcards, words in [
        (["model=toy"], "python scripts/train.py dataset=... model=... seed=..."),
        (
            ["dataset=pbmc", "model=toy", "seed=0"],
            "rule train makes no results/runs/pbmc/toy/0/weights.safetensors",
        ),
    ]:
        command = [sys.executable, "scripts/train.py", *wildcards]
        alone = subprocess.run(command, cwd=run.folder, capture_output=True, text=True, check=False)
        assert alone.returncode == 1
        assert words in alone.stderr
        assert "Traceback" not in alone.stderr


OWN = """
run: [mine]
data_directories: [elsewhere]
datasets:
  mine:
    title: Mine
    files:
      counts: {path: matrix}
      annotation: {path: cells.csv}
    columns: {cell_type: kind, condition: stim, batch: donor}
    control: no treatment
    qc: {min_genes: 5, min_cells: 2}
    n_top_genes: 30
    scale: {max_value: 10}
    holdout: {cells: {cell_type: [T/α cell], condition: [IFN β]}}
    balance: {by: louvain, n: 40}
    clusters: {n_pcs: 5, n_neighbors: 10}
studies:
  mine:
    title: Mine
    datasets: [mine]
    models: [pca]
    seeds: [0]
    embedding: {max_iter: 250, perplexity: 20}
"""


def write_own_data(folder: Path) -> None:
    """Write a 10x matrix folder of 160 cells and 60 genes, and a table of labels that no path would
    bear.
    """
    rng = np.random.default_rng(0)
    kinds, stims = (
        np.tile(["T/α cell", "B cell, naïve"], 80),
        np.repeat(["no treatment", "IFN β"], 80),
    )
    rates = 1 + 6 * (rng.random((2, 60)) > 0.6)
    counts = rng.poisson(rates[(kinds == "T/α cell").astype(int)])
    barcodes = ["".join(rng.choice(list("ACGT"), 12)) + "-1" for _ in range(160)]
    (folder / "matrix").mkdir(parents=True)
    mmwrite(folder / "matrix" / "matrix.mtx", sparse.coo_matrix(counts.T))
    (folder / "matrix" / "barcodes.tsv").write_text("\n".join(barcodes))
    (folder / "matrix" / "genes.tsv").write_text(
        "\n".join(f"ENSG{i:011d}\tgene{i}" for i in range(60))
    )
    rows = [
        f'{name},"{kind}",{stim},{i % 3}'
        for i, (name, kind, stim) in enumerate(zip(barcodes, kinds, stims, strict=True))
    ]
    (folder / "cells.csv").write_text("\n".join(["barcode,kind,stim,donor", *rows]))


@pytest.mark.workflow
def test_your_own_data_go_through_from_a_data_directory(workflow):
    (workflow.folder / "mine.yaml").write_text(OWN)
    absent = workflow.snakemake("-n", "--configfile", "mine.yaml")
    assert absent.returncode == 1
    (line,) = [line for line in absent.stdout.splitlines() if line.startswith("sclatent: ")]
    assert line.startswith(
        "sclatent: datasets.mine.files.counts: 'matrix' is not there (looked in: ., elsewhere)"
    )
    write_own_data(workflow.folder / "elsewhere")
    targets = [
        "results/studies/mine/mine/scores.tsv",
        "results/studies/mine/figures/quality_control/mine.svg",
    ]
    run = workflow.snakemake("--cores", "2", "--configfile", "mine.yaml", "--", *targets)
    assert run.returncode == 0, run.stdout
    data = read_matrix(workflow.path("data/mine/preprocessed.h5ad"))
    assert data.shape == (160, 30)
    assert set(data.obs["cell_type"]) == {"T/α cell", "B cell, naïve"}
    held_out = data.obs["split"] == "held_out"
    assert held_out.equals(
        (data.obs["cell_type"] == "T/α cell") & (data.obs["condition"] == "IFN β")
    )
    training = read_matrix(workflow.path("data/mine/training.h5ad"))
    clusters = read_table(workflow.path("data/mine/clusters.tsv"), "data_clusters")
    assert set(clusters["cell"]) == set(data.obs_names[~held_out]) >= set(training.obs["drawn"])
    assert len(training) == 40 * clusters["cluster"].nunique()
    assert (
        read_table(workflow.path("studies/mine/mine/scores.tsv"), "scores")["value"].notna().all()
    )
    cells = workflow.folder / "elsewhere" / "cells.csv"
    cells.write_text(cells.read_text().replace(",0", ",9"))
    assert "Reading mine" in planned(workflow, "--configfile", "mine.yaml", "--", *targets)


@pytest.mark.workflow
def test_another_content_of_a_published_file_makes_it_stale_and_another_origin_does_not(workflow):
    data = workflow.folder / "data"
    data.mkdir()
    adata = ad.AnnData(
        sparse.csr_matrix(np.random.default_rng(0).poisson(1.0, (40, 80)).astype(np.float32))
    )
    adata.obs["kind"] = pd.Categorical(np.tile(["a", "b"], 20))
    adata.write_h5ad(data / "cells.h5ad")
    pin = {"name": "cells.h5ad", "sha256": sha256_of(data / "cells.h5ad")}
    dataset = {"title": "Published", "files": {"counts": pin}, "columns": {"cell_type": "kind"}}
    study = {"title": "One", "datasets": ["published"], "models": ["pca"], "seeds": [0]}
    workflow.configure(run=["one"], datasets={"published": dataset}, studies={"one": study})
    target = "results/data/published/preprocessed.h5ad"
    assert workflow.snakemake("--cores", "1", target).returncode == 0
    pin["urls"] = ["https://example.org/cells.h5ad"]
    data.rename(workflow.folder / "elsewhere")
    directories = {"data_directories": ["elsewhere"]}
    workflow.configure(
        run=["one"], datasets={"published": dataset}, studies={"one": study}, **directories
    )
    assert planned(workflow, target) == set()
    pin["sha256"] = "0" * 64
    workflow.configure(
        run=["one"], datasets={"published": dataset}, studies={"one": study}, **directories
    )
    assert planned(workflow, target) == {
        "Fetching cells.h5ad",
        "Reading published",
        "Preprocessing published",
    }
    run = workflow.snakemake("--cores", "1", target)
    assert run.returncode == 1
    assert re.search(
        "^fetch cells.h5ad: elsewhere/cells.h5ad has SHA-256 .*, expected 0000",
        run.stdout,
        re.MULTILINE,
    )


@pytest.mark.workflow
def test_models_that_are_told_conditions_or_labels_go_through(workflow):
    """Guided by Louvain clusters of another data set with other genes, explaining counts;
    conditional and supervised.
    """
    data = yaml.safe_load((PROJECT / "config" / "datasets.yaml").read_text())["datasets"]
    few = {**data["pbmc68k_reduced"], "title": "Other genes", "n_top_genes": 300}
    training = {
        "epochs": 1,
        "phases": [{"objective": "supervised"}, {"objective": "semi_supervised"}],
    }
    guided = {
        "hyperparameters": {**WIDE, "n_components": 20, "likelihood": "nb"},
        "supervision": {"labels": "louvain", "dataset": "few"},
    }
    conditional = {
        "hyperparameters": {**WIDE, "n_components": 10},
        "supervision": {"labels": "cell_type", "share": 0.5},
    }
    models = {
        "guided": {"title": "Guided", "family": "gmvae", "training": training, **guided},
        "conditional": {
            "title": "Conditional",
            "family": "cgmvae",
            "training": training,
            **conditional,
        },
    }
    studies = {
        "guided": {
            "title": "G",
            "datasets": ["pbmc68k_reduced"],
            "models": ["guided"],
            "seeds": [0],
            **CHEAP,
        },
        "conditional": {
            "title": "C",
            "datasets": ["dots"],
            "models": ["conditional"],
            "seeds": [0],
            "evaluations": ["clustering"],
            **CHEAP,
        },
    }
    workflow.configure(
        run=list(studies), datasets={"few": few, "dots": DOTS}, models=models, studies=studies
    )
    targets = [f"results/studies/{study}/headline.txt" for study in studies]
    run = workflow.snakemake("--cores", "2", "--", *targets)
    assert run.returncode == 0, run.stdout
    shown = [workflow.path(f"studies/{study}/headline.txt").read_text() for study in studies]
    assert re.search(r"PBMC 68k \(reduced\)  Guided  .* 0 of 1", shown[0])
    assert re.search(r"Dots +Conditional \(sees cell types\)  .* 0 of 1", shown[1])
    absent = read_table(workflow.path("studies/guided/absent.tsv"), "absent").set_index(
        "evaluation"
    )
    assert "genes alone that it shares" in absent.loc["generation", "reason"]
    record = json.loads(workflow.path("runs/pbmc68k_reduced/guided/0/run.json").read_text())
    assert record["n_vars"] == 765 > record["n_counts"] > 100
    latents = read_matrix(workflow.path("studies/conditional/dots/conditional/latents.h5ad"))
    np.testing.assert_allclose(latents.obsm["responsibilities_seed_0"].sum(axis=1), 1, rtol=1e-5)
    record = json.loads(workflow.path("runs/dots/conditional/0/run.json").read_text())
    assert (len(record["conditions"]), len(record["classes"]), record["share"]) == (2, 5, 0.5)


@pytest.mark.workflow
def test_a_study_of_cells_held_out_looks_at_no_others(workflow):
    data = yaml.safe_load((PROJECT / "config" / "datasets.yaml").read_text())["datasets"]["digits"]
    held = {**data, "title": "Digits", "holdout": {"share": 0.2, "stratify": ["cell_type"]}}
    study = {
        "title": "H",
        "datasets": ["held"],
        "models": ["mixture"],
        "seeds": [0],
        "cells": "held_out",
        **CHEAP,
    }
    mixture = {
        "title": "Mixture",
        "family": "gmvae",
        "hyperparameters": {**WIDE, "n_components": 20},
        "training": QUICK,
    }
    workflow.configure(
        run=["h"], datasets={"held": held}, models={"mixture": mixture}, studies={"h": study}
    )
    run = workflow.snakemake(
        "--cores",
        "2",
        "--",
        "results/studies/h/exports/held.h5ad",
        "results/studies/h/held/scores.tsv",
    )
    assert run.returncode == 0, run.stdout
    preprocessed = read_matrix(workflow.path("data/held/preprocessed.h5ad"))
    cells = preprocessed.obs_names[preprocessed.obs["split"] == "held_out"]
    assert 300 < len(cells) < 400
    for name in ("held/mixture/latents", "held/mixture/tsne", "held/umap", "exports/held"):
        assert read_matrix(workflow.path(f"studies/h/{name}.h5ad")).obs_names.equals(cells), name
    assert set(
        read_table(workflow.path("studies/h/held/mixture/clusters.tsv"), "clusters")["cell"]
    ) == set(cells)
    scores = read_table(workflow.path("studies/h/held/scores.tsv"), "scores")
    assert set(scores["split"]) == {"all", "held_out"}
    assert (scores.loc[scores["method"] == "components", "metric"] == "majority_accuracy").any()


@pytest.mark.workflow
def test_treated_cells_are_predicted_held_out_and_in_sample(workflow):
    quick = {"epochs": 2, "batch_size": 512}
    models = {
        "arithmetic": {
            "title": "VAE",
            "family": "vae",
            "hyperparameters": {"latent_dim": 2},
            "training": quick,
        },
        "flipping": {
            "title": "CVAE",
            "family": "cvae",
            "hyperparameters": {"latent_dim": 2},
            "training": quick,
        },
    }
    study = {
        "title": "T",
        "datasets": ["dots"],
        "models": list(models),
        "seeds": [0],
        "evaluations": ["perturbation"],
    }
    study["perturbation"] = {"cell_types": ["class_0", "class_3"], "in_sample": True}
    dots = {**DOTS, "blobs": {"n_cells": 100, "effect": 1.2}}
    workflow.configure(run=["t"], models=models, datasets={"dots": dots}, studies={"t": study})
    drawings = {job for job in planned(workflow) if job.startswith("Drawing")}
    of_models = ["held_out.dots.arithmetic", "held_out.dots.flipping", "in_sample.dots.flipping"]
    subjects = {"gene_means": ["held_out.dots", *of_models], "marker_ranking": of_models}
    assert drawings == {
        f"Drawing {figure} of {subject}"
        for figure, of_figure in subjects.items()
        for subject in of_figure
    }
    targets = [
        f"results/studies/t/figures/{figure}/held_out.dots.flipping.svg" for figure in subjects
    ]
    run = workflow.snakemake("--cores", "2", "--", "results/studies/t/perturbation.tsv", *targets)
    assert run.returncode == 0, run.stdout
    scores = read_table(workflow.path("studies/t/perturbation.tsv"), "perturbation")
    assert set(scores["dataset"]) == {"dots"}
    held_out, in_sample = (scores[scores["split"] == split] for split in ("held_out", "in_sample"))
    assert set(held_out["cell_type"]) == {"class_0", "class_3"}
    assert set(in_sample["cell_type"]) == {*(f"class_{i}" for i in range(5)), "all"}
    assert set(in_sample["method"]) == {"no_change", "real_cells", "flip"}
    assert {"scgen", "latent_mean_shift", "similarity_shift", "flip"} <= set(held_out["method"])
    shifts = held_out[(held_out["method"] == "mean_shift") & (held_out["metric"] == "mse_mean")]
    assert (shifts["value"] < shifts["floor"]).all()
    assert (shifts["ceiling"] < shifts["value"]).all()
    absent = read_table(workflow.path("studies/t/absent.tsv"), "absent")
    assert absent.loc[absent["what"] == "all", "model"].tolist() == ["arithmetic"]
    split = read_matrix(workflow.path("data/dots.without_class_3/preprocessed.h5ad")).obs
    held = split[split["split"] == "held_out"]
    assert (set(held["cell_type"]), set(held["condition"]), len(held)) == (
        {"class_3"},
        {"trtmnt"},
        100,
    )
    assert not workflow.path("data/dots.without_class_3/counts.h5ad").exists()
    real = read_table(workflow.path("data/dots/responses.tsv"), "responses")
    of_model = read_table(workflow.path("studies/t/dots/flipping/responses.tsv"), "responses")
    assert of_model["seed"].unique().tolist() == [0]
    of_seed = in_sample.query("seed == 0 and metric == 'pearson_squared_mean' and subset == 'all'")
    assert len(of_seed) == 6
    for cell_type, r2 in of_seed[["cell_type", "value"]].itertuples(index=False):
        treated = real.loc[(real["cell_type"] == cell_type) & (real["method"] == "treated"), "mean"]
        predicted = of_model.loc[of_model["cell_type"] == cell_type, "mean"]
        assert np.corrcoef(treated, predicted)[0, 1] ** 2 == pytest.approx(r2)


@pytest.mark.workflow
def test_a_published_file_that_nothing_can_bring_is_missed_before_a_run(workflow):
    study = {"title": "Local", "datasets": ["kang_subset"], "models": ["pca"], "seeds": [0]}
    workflow.configure(run=["local"], studies={"local": study})
    run = workflow.snakemake("-n")
    assert run.returncode == 1
    assert (
        "sclatent: datasets.kang_subset.files.counts: file 'kang_6587x9015.h5ad' has no URL "
        "and is in none of" in run.stdout
    )


@pytest.mark.workflow
def test_the_examples_of_the_readme_work(workflow):
    text = (PROJECT / "docs" / "your-data.md").read_text()
    section = text[text.index("## Use your own data") : text.index("| you have | write |")]
    blocks = [
        textwrap.dedent(block)
        for block in re.findall(r"(?:^    .*\n)(?:^    .*\n)+", section, re.MULTILINE)
    ]
    mine = yaml.safe_load(
        next(block for block in blocks if block.lstrip().startswith("# mine.yaml"))
    )
    tenx = yaml.safe_load(next(block for block in blocks if block.lstrip().startswith("files:")))
    rng = np.random.default_rng(0)
    names = [f"MT-{i}" if i < 5 else f"G{i}" for i in range(2500)]
    obs = pd.DataFrame(
        {"cell_type": pd.Categorical(np.tile(["a", "b"], 30))},
        index=[f"AAACCCGGGTTT{i:02d}-1" for i in range(60)],
    )
    rates = 0.5 + 2 * (
        np.arange(60)[:, None] % 2 == np.arange(2500) % 2
    )  # of two types, which clusters find
    counts = sparse.csr_matrix(rng.poisson(rates).astype(np.float32))
    ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=names)).write_h5ad(
        workflow.folder / "cells.h5ad"
    )
    obs.to_csv(workflow.folder / "cell_types.tsv", sep="\t")
    folder = workflow.folder / "filtered_feature_bc_matrix"
    folder.mkdir()
    with gzip.open(folder / "matrix.mtx.gz", "wb") as file:
        mmwrite(file, counts.T.astype(int))
    for name, lines in {
        "barcodes": obs.index,
        "features": [f"E{g}\t{g}\tGene Expression" for g in names],
    }.items():
        with gzip.open(folder / f"{name}.tsv.gz", "wt") as file:
            file.write("\n".join(lines) + "\n")
    dataset = mine["datasets"]["mine"]
    mine["datasets"]["tenx"] = {**dataset, **tenx}
    unlabelled = {key: value for key, value in dataset.items() if key != "columns"}
    mine["datasets"]["unlabelled"] = {**unlabelled, "labels": "derived"}
    mine["studies"]["mine"] |= {
        "datasets": ["unlabelled"],
        "models": ["pca"],
        "seeds": [0],
        **CHEAP,
    }
    mine["studies"]["mine"]["embedding"] = {**CHEAP["embedding"], "perplexity": 10}
    (workflow.folder / "mine.yaml").write_text(yaml.safe_dump(mine))
    targets = [f"results/data/{name}/preprocessed.h5ad" for name in mine["datasets"]]
    run = workflow.snakemake(
        "--cores",
        "2",
        "--configfile",
        "mine.yaml",
        "--",
        *targets,
        "results/studies/mine/headline.txt",
    )
    assert run.returncode == 0, run.stdout
    one, other, derived = (
        read_matrix(workflow.path(f"data/{name}/preprocessed.h5ad")) for name in mine["datasets"]
    )
    assert one.shape == (60, 2000)
    np.testing.assert_array_equal(one.X.toarray(), other.X.toarray())
    assert one.obs["cell_type"].equals(other.obs["cell_type"])
    assert derived.obs["cell_type"].str.startswith("cluster ").all()
    assert "My cells (derived labels)" in workflow.path("studies/mine/headline.txt").read_text()


@pytest.mark.workflow
def test_two_runs_give_the_same_bytes(finished, workflow):
    """On two cores and on one."""
    workflow.add_family("toy", TOY_HYPERPARAMETERS, TOY)
    workflow.configure(**SMALL)
    run = workflow.snakemake("--cores", "1", "results/studies/small/pbmc68k_reduced/scores.tsv")
    assert run.returncode == 0, run.stdout
    names = {path.name for path in workflow.path("").rglob("*")}
    assert {
        "preprocessed.h5ad",
        "weights.safetensors",
        "latents.h5ad",
        "tsne.h5ad",
        "clusters.tsv",
        "scores.tsv",
    } <= names
    assert differing(workflow.path(""), finished.path("")) == set()
    arrays = arrays_of(
        read_matrix(finished.path("studies/small/pbmc68k_reduced/drawing/latents.h5ad"))
    )
    assert list(arrays) == [(kind, seed) for seed in (0, 7) for kind in ("mean", "sample")]
    assert not any((arrays[kind, 0] == arrays[kind, 7]).all() for kind in ("mean", "sample"))


@pytest.mark.workflow
def test_a_mistake_in_the_configuration_is_one_line(workflow):
    run = workflow.snakemake("-n", "--config", "studies={quickstart: {models: [pcaa]}}")
    assert run.returncode == 1
    assert "Traceback" not in run.stdout
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("sclatent: ")]
    assert "did you mean 'pca'?" in line
    assert run.stdout.splitlines()[-1] == line


@pytest.mark.workflow
def test_an_error_in_a_job_is_one_line_and_its_traceback_is_in_the_log(workflow):
    table = workflow.folder / "config" / "datasets.yaml"
    table.write_text(
        table.read_text().replace(
            "name: datasets/data/digits.csv.gz", "name: datasets/data/digit.csv"
        )
    )
    run = workflow.snakemake("--cores", "1", "results/files/datasets/data/digit.csv")
    assert run.returncode == 1
    assert "Traceback" not in run.stdout
    assert (
        "fetch datasets/data/digit.csv: package 'sklearn' ships no file "
        "'datasets/data/digit.csv'; install the version" in run.stdout
    )
    assert "Traceback" in workflow.path("logs/fetch/datasets/data/digit.csv.log").read_text()
    assert not workflow.path("files/datasets/data/digit.csv").exists()


@pytest.mark.workflow
def test_an_error_in_a_notebook_fails_the_job_and_keeps_the_notebook(run):
    target = "results/studies/small/figures/score_heatmap/pbmc68k_reduced.svg"
    template = run.folder / "workflow" / "notebooks" / "figure.ipynb"
    original = template.read_text()
    template.write_text(original.replace("drawing = draw(", "drawing = 1 / 0 + draw("))
    failed = run.snakemake("--cores", "1", target)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stdout
    assert re.search(r"ZeroDivisionError.*score_heatmap/pbmc68k_reduced\.log", failed.stdout)
    for kind in ("log", "ipynb"):
        log = run.path(f"logs/figures/small/score_heatmap/pbmc68k_reduced.{kind}").read_text()
        assert "ZeroDivisionError" in log
        assert "drawing = 1 / 0 + draw(" in log
    template.write_text(
        original.replace('"name": "python3"', '"name": "elsewhere"')
    )  # which kernel wrote it does not matter
    assert run.snakemake("--cores", "1", target).returncode == 0


@pytest.mark.workflow
def test_the_rule_graph_of_the_readme_is_that_of_the_workflow(project):
    command = [sys.executable, "-m", "snakemake", "--rulegraph", "dot", "-q", "all"]
    dot = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout
    names = dict(re.findall(r'^\s*(\d+)\s*\[label = "([^"]+)"', dot, re.MULTILINE))
    edges = {(names[a], names[b]) for a, b in re.findall(r"^\s*(\d+) -> (\d+)", dot, re.MULTILINE)}
    svg = ET.parse(project / "workflow" / "report" / "rulegraph.svg")
    space = "{http://www.w3.org/2000/svg}"
    groups = [
        (g.get("class"), g.find(f"{space}title").text, g.find(f"{space}text"))
        for g in svg.iter(f"{space}g")
    ]
    drawn = {title: text.text for kind, title, text in groups if kind == "node"}
    arrows = {
        tuple(drawn[end] for end in title.split("->"))
        for kind, title, _ in groups
        if kind == "edge"
    }
    assert (set(drawn.values()), arrows) == (set(names.values()), edges), "run `make rulegraph`"
    assert (
        "workflow/report/rulegraph.svg"
        in (PROJECT / "docs" / "development" / "architecture.md").read_text()
    )


# ---- called from elsewhere

TINY = {
    "run": ["tiny"],
    "studies": {
        "tiny": {"title": "T", "datasets": ["digits"], "models": ["pca"], "seeds": [0], **CHEAP}
    },
}


def called(folder: Path, *arguments: str) -> str:
    """Run Snakemake in a folder that is no copy of the project, and return what it printed."""
    command = [*SNAKEMAKE, "--cores", "2", *arguments]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


@pytest.mark.workflow
def test_results_are_written_where_snakemake_is_called(tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TINY))
    called(tmp_path, "-s", str(PROJECT / "Snakefile"), "--configfile", "mine.yaml")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.yaml", "results", ".snakemake"}
    assert (tmp_path / "results" / "report.html").stat().st_size
    # The same folder, given as an option, has nothing left to do.
    options = ("-d", str(tmp_path), "--configfile", str(tmp_path / "mine.yaml"))
    assert "Nothing to be done" in called(PROJECT, *options)


@pytest.mark.workflow
def test_another_workflow_uses_this_one_as_a_module(tmp_path):
    (tmp_path / "Snakefile").write_text(
        textwrap.dedent(
            f"""
            configfile: "caller.yaml"

            module sclatent:
                snakefile: "{PROJECT / "Snakefile"}"
                config: config["sclatent"]

            use rule * from sclatent as sclatent_*

            rule mine:
                default_target: True
                input: "results/studies/tiny/summary.tsv"
                output: "{{model}}.txt"
                shell: "head -n 2 {{input}} > {{output}}"
            """
        )
    )
    (tmp_path / "caller.yaml").write_text(yaml.safe_dump({"sclatent": TINY}))
    called(tmp_path, "mine.txt")  # a wildcard of the caller is not bound to names of ours
    assert read_provenance(tmp_path / "results" / "studies" / "tiny" / "summary.tsv")
    assert (tmp_path / "mine.txt").read_text().count("\n") == 2


@pytest.mark.workflow
def test_a_second_study_in_a_folder_explains_what_runs_again_in_short_lines(run):
    tiny = {
        **SMALL,
        "run": ["other"],
        "studies": {**SMALL["studies"], "other": TINY["studies"]["tiny"]},
    }
    run.configure(**tiny)
    plan = run.snakemake("-n")
    assert plan.returncode == 0
    assert "Its settings or its code have changed" in plan.stdout
    assert max(map(len, plan.stdout.splitlines())) < 1000
