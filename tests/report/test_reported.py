"""The README's table of committed results, and whether a run of today still finds them."""

import shutil

import pandas as pd
import pytest
import yaml
from helpers import PROJECT, job

import keep
from sclatent.io.tables import as_kind, read_provenance, read_table, write_table
from sclatent.report.paper import shown_rows
from sclatent.report.published_numbers import results_table

REFERENCE = PROJECT / "results" / "reference"
ENTRIES = """
- id: X1
  data: Digits
  setting: AE
  reported: {ari: "0.5", nmi_geometric: "0.6"}
  ours:
    - {study: one, dataset: digits, model: pca}
    - {study: one, dataset: digits, model: ae}
- id: X2
  data: Digits
  setting: seconds
  reported: {train_seconds: "180"}
  ours: [{study: one, dataset: digits, model: ae, metric: ari, column: train_seconds}]
- id: X3
  data: Digits
  setting: not run
  reported: {ari: "0.7"}
  ours: [{study: other, dataset: digits, model: ae}]
"""
KEYS = ["dataset", "model", "method", "metric"]


@pytest.fixture
def references(tmp_path):
    (tmp_path / "references.yaml").write_text(ENTRIES)
    return tmp_path / "references.yaml"


@pytest.fixture
def summary() -> dict:
    row = {
        "dataset": "digits",
        "model": "ae",
        "split": "all",
        "latent": "mean",
        "method": "kmeans_latent",
        "metric": "ari",
    }
    bounds = {
        "subset": "all",
        "mean": 0.4567,
        "sd": 0.01,
        "n": 3,
        "n_seeds": 3,
        "failed_share": 0.0,
        "ceiling": 1.0,
    }
    return row | bounds | {"train_seconds": 12.34}


def write(folder, row: dict) -> None:
    (folder / "one").mkdir()
    write_table(
        as_kind(pd.DataFrame([row]), "summary"), folder / "one" / "summary.tsv", "summary", {}
    )


def test_the_last_row_of_ours_stands_beside_what_was_reported(tmp_path, references, summary):
    write(tmp_path, summary)
    assert results_table(references, tmp_path).splitlines()[2:] == [
        "| X1 | Digits: AE | ari | 0.5 | 0.457 ± 0.010, `ae` `kmeans_latent` | – | 1.000 | 3 |",
        "| X2 | Digits: seconds | train seconds | 180 | 12.3, `ae` | – | – | 3 |",
        "| X3 | Digits: not run | ari | 0.7 | – | – | – | – |",
    ]


def test_a_row_that_the_kept_tables_lack_is_an_error(tmp_path, references, summary):
    write(tmp_path, {**summary, "model": "pca"})
    with pytest.raises(KeyError, match="ae"):
        results_table(references, tmp_path)


def test_what_the_paper_shows_of_a_table_is_kept_with_its_provenance(tmp_path, summary):
    recall = {**summary, "metric": "recall"}
    rows = [
        summary,
        {**summary, "metric": "silhouette"},
        recall,
        {**recall, "method": "components"},
    ]
    table = as_kind(pd.DataFrame(rows), "summary")
    write_table(table, tmp_path / "made.tsv", "summary", {"device": "cpu"})
    keep.main(
        job(
            "keep",
            {"table": tmp_path / "made.tsv"},
            [tmp_path / "kept.tsv"],
            wildcards={"table": "summary"},
        )
    )
    kept = read_table(tmp_path / "kept.tsv", "summary")
    assert kept[["metric", "method"]].to_numpy().tolist() == [
        ["ari", "kmeans_latent"],
        ["recall", "components"],
    ]
    assert read_provenance(tmp_path / "kept.tsv") == {"device": "cpu"}


@pytest.mark.workflow
def test_the_paper_of_kept_tables_runs_no_study(workflow):
    """It is made of them alone, says so, and gives the command that made it."""
    kept = workflow.path("reference")
    shutil.copytree(REFERENCE / "blobs", kept / "blobs")
    paper = ("--cores", "1", "--configfile", "config/paper.yaml", "--", "paper_kept")
    run = workflow.snakemake(*paper)
    assert run.returncode == 0, run.stdout
    assert workflow.path("paper_kept.pdf").read_bytes().startswith(b"%PDF")
    assert not workflow.path("studies").exists()
    shutil.rmtree(kept)
    run = workflow.snakemake("--forceall", *paper)
    assert run.returncode == 1
    assert "results/reference has the tables of no study of this run" in run.stdout
    assert "snakemake paper_<study>" in run.stdout


@pytest.mark.workflow
@pytest.mark.parametrize(
    ("study", "models"),
    [("blobs", ["cgmvae_blobs", "cgmvae_blobs_learned_prior"]), ("pbmc3k", ["ae"])],
)
def test_a_seed_of_a_study_lands_where_the_kept_ones_are(workflow, request, study, models):
    """Within three standard deviations over seeds of the kept mean, in every agreement with the
    labels.
    """
    paper = yaml.safe_load((PROJECT / "config" / "paper.yaml").read_text())
    settings = paper["studies"][study] | {"models": models, "seeds": [0]}
    workflow.configure(run=[study], studies={study: settings}, models=paper["models"])
    table = f"studies/{study}/summary.tsv"
    prefix = (
        () if study == "blobs" else ("env", f"SCLATENT_DATA={request.getfixturevalue('data_dir')}")
    )
    run = workflow.snakemake("--cores", "2", f"results/{table}", prefix=prefix)
    assert run.returncode == 0, run.stdout
    found = shown_rows(read_table(workflow.path(table), "summary"))
    found = found[
        found["model"].isin(models) & (found["subset"] == "all") & (found["latent"] == "mean")
    ]
    kept = read_table(REFERENCE / study / "summary.tsv", "summary")
    both = found.merge(
        kept, on=[*KEYS, "split", "latent", "subset"], suffixes=("", "_kept"), how="left"
    )
    assert len(both) > 10 * len(models)
    band = 3 * both["sd_kept"] + 1e-6
    outside = both[~((both["mean"] - both["mean_kept"]).abs() <= band)]
    assert outside[[*KEYS, "mean", "mean_kept", "sd_kept"]].to_dict("records") == []
