"""What the rules compute from the configuration, without Snakemake."""

import os
import time
from dataclasses import replace

import pytest

from sclatent.common.errors import UserError
from sclatent.config.load import load
from sclatent.figures.catalogue import CATALOGUE
from sclatent.io import contracts
from sclatent.io.imports import LIBRARY
from sclatent.pipeline.code import code_digest
from sclatent.pipeline.figures import FIGURES, FigurePlan
from sclatent.pipeline.plan import Plan, Predicted, Run
from sclatent.pipeline.preflight import source_files

STUDY = {"title": "S", "datasets": ["digits"], "models": ["pca", "beta_vae"], "seeds": [0, 7]}


def plan_of(raw_config, study=None, **changes) -> Plan:
    study = {**STUDY, **(study or {})}
    return Plan(load({**raw_config, "run": ["s"], "studies": {"s": study}, **changes}))


def test_a_study_rests_on_its_models_and_their_floors(raw_config):
    plan = plan_of(raw_config)
    assert plan.models_and_floors("s") == ["pca", "beta_vae", "floor.pca_50"]
    assert plan.floors["s"] == {"pca": "pca", "beta_vae": "pca"}
    runs = plan.clustered_runs("s")
    assert len(runs) == len(set(runs)) == 6
    assert runs[0] == Run("digits", "pca", 0)
    assert runs[0].record == "results/runs/digits/pca/0/run.json"
    assert plan.drawn_runs("s") == [Run("digits", "beta_vae", seed) for seed in (0, 7)]
    assert plan.predicting_runs("s") == []
    assert plan.runs_of("s") == runs
    assert plan.models_without_prior("s") == [("digits", "pca")]


def test_a_study_makes_what_its_evaluations_need_and_nothing_else(raw_config):
    plan = plan_of(raw_config, {"evaluations": ["generation"]})
    assert plan.clustered_runs("s") == []
    assert plan.runs_of("s") == plan.drawn_runs("s")
    assert [path.rsplit(".")[-1] for path in plan.exports_of("s")] == ["parquet"] * 9
    figures = {name for name, _ in FigurePlan(plan).figures_of("s")}
    assert figures == {"drawn_cells", "drawn_images"}


def test_predictions_of_treated_cells_need_a_model_that_can_make_them(raw_config):
    study = {
        "datasets": ["blobs"],
        "models": ["pca", "cgmvae_blobs"],
        "seeds": [0],
        "evaluations": ["perturbation"],
        "perturbation": {"cell_types": ["class_0", "class_1"], "in_sample": True},
    }
    plan = plan_of(raw_config, study)
    held_out = ["blobs.without_class_0", "blobs.without_class_1"]
    assert plan.perturbed_datasets("s") == [*held_out, "blobs"]
    assert plan.predicted("s") == [
        Predicted("held_out", "blobs", None),
        Predicted("held_out", "blobs", "pca"),
        Predicted("held_out", "blobs", "cgmvae_blobs"),
        Predicted("in_sample", "blobs", "cgmvae_blobs"),
    ]
    assert len(plan.predicting_runs("s")) == 3 * 2
    files = FigurePlan(plan).inputs("s", "gene_means", "held_out.blobs.pca")
    assert files == {
        "real": [f"results/data/{name}/responses.tsv" for name in held_out],
        "predicted": [f"results/studies/s/{name}/pca/responses.tsv" for name in held_out],
    }
    without_model = FigurePlan(plan).inputs("s", "gene_means", "held_out.blobs")
    assert without_model["predicted"] == []
    assert "held_out.blobs" not in FigurePlan(plan).kinds["marker_ranking"].subjects("s")
    assert plan.preparations()["perturb_data"] == plan.perturbed_datasets("s")
    assert plan.preparations()["ingest"] == ["blobs"]


def test_files_of_labels_are_those_of_the_data_set_that_has_the_labels(raw_config):
    supervised = {
        "title": "G",
        "family": "gmvae",
        "supervision": {"labels": "louvain", "dataset": "pbmc68k_reduced"},
        "training": {"objective": "semi_supervised"},
    }
    models = {**raw_config["models"], "guided": supervised}
    datasets = {**raw_config["datasets"]}
    datasets["cells"] = {**datasets["pbmc68k_reduced"], "title": "C"}
    study = {"datasets": ["cells"], "models": ["guided"]}
    plan = plan_of(raw_config, study, models=models, datasets=datasets)
    folder = "results/data/pbmc68k_reduced"
    assert plan.label_files("cells", "guided") == {
        "clusters": f"{folder}/clusters.tsv",
        "labelled": f"{folder}/preprocessed.h5ad",
        "labelled_split": f"{folder}/preprocessed.h5ad",
    }
    assert plan.label_files("pbmc68k_reduced", "guided") == {"clusters": f"{folder}/clusters.tsv"}
    assert plan.preparations()["cluster_data"] == ["pbmc68k_reduced"]


def test_scaled_data_and_counts_of_no_logarithms_cannot_be_compared(raw_config):
    datasets = {**raw_config["datasets"]}
    datasets["scaled"] = {**datasets["pbmc68k_reduced"], "title": "C", "scale": {}}
    counts = {"title": "N", "family": "vae", "hyperparameters": {"likelihood": "nb"}}
    models = {**raw_config["models"], "counts": counts}
    plan = plan_of(raw_config, datasets=datasets, models=models)
    assert plan.incomparable("pbmc68k_reduced", "counts") == ""
    assert "is scaled" in plan.incomparable("scaled", "beta_vae")
    assert "draws counts" in plan.incomparable("digits", "counts")


def test_every_figure_has_a_subject_in_some_study_and_files_for_it(raw_config):
    plan = plan_of(raw_config)
    figures = FigurePlan(plan)
    for name, subject in figures.figures_of("s"):
        files = figures.inputs("s", name, subject)
        assert files
        assert set(files) <= set(figures.parameters("s", name, subject))
        assert figures.labels("s", name, subject)["figure"] == CATALOGUE[name].title
    drawn = {name for name, _ in figures.figures_of("s")}
    assert drawn == {*FIGURES} - {"quality_control", "gene_means", "marker_ranking"}


def test_your_own_file_that_is_not_there_is_named_by_its_place(raw_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = {"title": "M", "files": {"counts": {"path": "x.h5ad"}}, "columns": {"cell_type": "a"}}
    plan = plan_of(raw_config, datasets={**raw_config["datasets"], "mine": own})
    with pytest.raises(UserError, match=r"datasets\.mine\.files\.counts: 'x\.h5ad' is not there"):
        source_files(plan, "mine")
    (tmp_path / "x.h5ad").write_bytes(b"")
    assert source_files(plan, "mine") == {"counts": ["x.h5ad"]}
    assert source_files(plan, "digits")["counts"][0].startswith("results/files/")


def test_the_digest_of_code_follows_its_content_alone(tmp_path, monkeypatch):
    vae, vsc = (LIBRARY / "models" / f"{name}.py" for name in ("vae", "vsc"))
    assert code_digest("train", vae) == code_digest("train", vae)
    assert len({code_digest("train", vae), code_digest("train", vsc), code_digest("score")}) == 3
    before = code_digest("score")
    copy = tmp_path / "score.py"
    monkeypatch.setattr("sclatent.pipeline.code.SCRIPTS", tmp_path)
    copy.write_bytes((LIBRARY.parent / "score.py").read_bytes())
    assert code_digest("score") == before
    os.utime(copy, (time.time() + 1e6,) * 2)
    assert code_digest("score") == before
    os.utime(copy, (time.time() + 2e6,) * 2)
    copy.write_text('"""Other words."""\n# and a comment' + copy.read_text().partition('"""\n')[2])
    assert code_digest("score") == before
    copy.write_text(copy.read_text() + "x = 1\n")
    assert code_digest("score") != before


def test_a_change_of_a_contract_makes_stale_what_it_describes_and_a_change_of_words_nothing(
    monkeypatch,
):
    before = {name: code_digest(name) for name in ("score", "cluster", "train")}
    columns = contracts.TABLES["history"]
    monkeypatch.setitem(columns, "epoch", replace(columns["epoch"], meaning="other words"))
    assert {name: code_digest(name) for name in before} == before
    monkeypatch.setitem(columns, "epoch", replace(columns["epoch"], type="text"))
    assert {name for name in before if code_digest(name) != before[name]} == {"train"}
