import copy
import json
import os
import re
import subprocess
import sys

import jsonschema
import pytest
import yaml
from helpers import PROJECT, merged_config

from sclatent.common.errors import UserError
from sclatent.config.datasets import Dataset, Holdout
from sclatent.config.floors import floors
from sclatent.config.formats import ROLES
from sclatent.config.load import held_out_datasets, load
from sclatent.config.models import Input
from sclatent.config.tables import with_tables
from sclatent.data.readers.registry import READERS
from sclatent.families.registry import family_files, family_names
from sclatent.io.imports import LIBRARY
from sclatent.models.base import LatentModel
from sclatent.models.registry import load_family
from sclatent.pipeline.documents import configuration_schema, documents


def changed(raw, path, value):
    result = copy.deepcopy(raw)
    *parents, last = path.split(".")
    section = result
    for key in parents:
        section = section[key]
    section[last] = value
    return result


def test_every_format_has_a_reader():
    assert set(Dataset.model_fields["format"].annotation.__args__) == set(ROLES) == set(READERS)


def test_quick_start_is_valid_and_complete(raw_config):
    config = load(raw_config)
    assert config.run == ["quickstart", "treatment"]
    assert config.models["ae"].hyperparameters.linear_first is True


def test_the_effective_configuration_is_one_that_can_be_loaded(raw_config):
    raw_config = changed(
        raw_config,
        "datasets.mine",
        {"title": "x", "files": {"counts": {"path": "a"}}, "labels": "derived"},
    )
    config = load(raw_config)
    assert load(config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("threds", 1, ["threds", "did you mean 'threads'"]),
        ("models.ae.trainin", {}, ["models.ae.trainin", "did you mean 'training'"]),
        (
            "models.ae.training.epochs",
            0,
            ["models.ae.training.epochs", "0", "greater than or equal to 1"],
        ),
        (
            "models.beta_vae.hyperparameters.bta",
            1,
            ["models.beta_vae.hyperparameters.bta", "did you mean 'beta'"],
        ),
        (
            "models.beta_vae.hyperparameters.beta",
            -1,
            ["models.beta_vae.hyperparameters.beta", "-1", "greater than or equal to 0"],
        ),
        ("studies.quickstart.title", "a {b}", ["studies.quickstart.title", "'a {b}'", "[^{}]"]),
        ("models.ae.family", "vea", ["models.ae.family", "vea", "did you mean 'vae'"]),
        ("models.a/b", {"title": "x", "family": "ae"}, ["a/b"]),
        ("studies.quickstart.models", ["pca", "beta_va"], ["beta_va", "did you mean 'beta_vae'"]),
        ("studies.quickstart.datasets", ["digit"], ["digit", "did you mean 'digits'"]),
        ("studies.quickstart.seeds", [0, 0], ["seeds", "twice"]),
        ("studies.quickstart.seeds", [-1], ["seeds.0", "-1"]),
        ("run", ["quickstat"], ["quickstat", "did you mean 'quickstart'"]),
        ("datasets.digits.format", "digit", ["datasets.digits.format", "'digits'"]),
        ("datasets.digits.qc", {"min_gene": 1}, ["min_gene", "did you mean 'min_genes'"]),
        (
            "datasets.digits.files.counts",
            {"package": "sklearn"},
            ["datasets.digits.files.counts", "path", "name"],
        ),
        (
            "datasets.digits.files.counts",
            {"path": "a", "sha256": "0" * 64},
            ["files.counts", "no other key"],
        ),
        (
            "datasets.digits.files.counts.sha256",
            "0",
            ["datasets.digits.files.counts.sha256", "SHA-256"],
        ),
        ("datasets.digits.files.counts.urls", ["https://x.org/y"], ["not from both"]),
        (
            "datasets.mnist.files.images.urls",
            ["ftp://x.org/y"],
            ["datasets.mnist.files.images.urls.0", "ftp://x.org/y"],
        ),
        (
            "datasets.mnist.files.images.name",
            "../images",
            ["datasets.mnist.files.images.name", "../images"],
        ),
        ("datasets.digits.files.other", {"path": "a"}, ["takes no files.other", "counts"]),
        ("datasets.digits.files", {}, ["format digits needs files.counts"]),
        (
            "datasets.mine",
            {"title": "x", "files": {"counts": {"path": "a.xls"}}},
            ["datasets.mine.format", "missing"],
        ),
        (
            "datasets.mine",
            {"title": "x", "files": {"counts": {"path": "a.h5ad"}}},
            ["columns.cell_type", "labels: derived"],
        ),
        ("datasets.pbmc3k.columns", {"cell_type": "x"}, ["takes the place of columns.cell_type"]),
        ("datasets.digits.labels", "derived", ["names its cell types itself"]),
        ("datasets.kang.control", None, ["columns.condition and control go together"]),
        ("datasets.kang.holdout", {}, ["datasets.kang.holdout", "share or cells"]),
        ("datasets.kang.holdout", {"share": 1.5}, ["datasets.kang.holdout.share", "less than 1"]),
        (
            "datasets.kang.holdout",
            {"share": 0.5, "stratfy": []},
            ["datasets.kang.holdout.stratfy", "did you mean 'stratify'"],
        ),
        (
            "datasets.kang.holdout",
            {"cells": {"cell_type": ["B"]}, "seed": 1},
            ["cells takes no other key"],
        ),
        ("datasets.kang.layer", "counts", ["layer is for format h5ad"]),
        ("datasets.kang.blobs", {}, ["blobs is for format blobs"]),
        (
            "datasets.kang_figshare.files.counts.name",
            "kang_6587x9015.h5ad",
            ["kang_6587x9015.h5ad", "another data set"],
        ),
        ("datasets.digits.columns", {"cell_type": "x"}, ["format digits names its labels itself"]),
        ("datasets.blobs.normalization", "log", ["blobs needs normalization: none"]),
        (
            "datasets.kang_control.balance",
            {"by": "condition", "n": 9},
            ["columns.condition names no column"],
        ),
        (
            "datasets.pbmc3k.balance",
            {"by": "cell_type", "n": 9},
            ["labels are derived from all cells; use louvain"],
        ),
        (
            "datasets.pbmc3k.holdout",
            {"share": 0.1, "stratify": ["cell_type"]},
            ["holdout cannot name cell_type"],
        ),
        ("datasets.pbmc3k.files.counts", {"path": "a{b}.h5ad"}, ["a{b}.h5ad", "brace", "rename"]),
        (
            "datasets.kang_subset.holdout",
            {"cells": {"celltype": ["B"]}},
            ["datasets.kang_subset.holdout.cells.celltype"],
        ),
        (
            "datasets.kang_subset.files",
            {"counts": "a.h5ad"},
            ["datasets.kang_subset.files.counts", "a mapping of keys"],
        ),
        ("data_directories", [], ["data_directories", "at least 1"]),
        (
            "studies.quickstart.embedding",
            {"max_iter": 10},
            ["studies.quickstart.embedding.max_iter", "10", "250"],
        ),
        ("models.ae.hyperparameters.encoder_hidden", [8, 0], ["encoder_hidden.1", "0"]),
        ("models.beta_vae.hyperparameters.beta", float("inf"), ["hyperparameters.beta", "finite"]),
        (
            "datasets.digits.qc",
            {"min_genes": 9, "max_genes": 9},
            ["min_genes (9) must be below max_genes (9)"],
        ),
        ("datasets.digits.n_top_genes", 5, ["n_top_genes needs normalization: log"]),
        ("studies.quickstart.seeds", [], ["seeds", "at least 1"]),
        (
            "models.ae.training.phases",
            [{"epoch": 1}],
            ["models.ae.training.phases.0.epoch", "did you mean 'epochs'"],
        ),
        (
            "models.ae.training.objective",
            "pretraining",
            ["models.ae", "pretraining", "components", "ae does not have"],
        ),
        ("models.ae.training.patience", 3, ["patience needs validation"]),
        (
            "models.gmvae.supervision",
            {"labels": "cell_type"},
            ["models.gmvae", "supervision", "go together"],
        ),
        (
            "models.gmvae.training",
            {"objective": "supervised"},
            ["models.gmvae", "supervision", "go together"],
        ),
        (
            "models.gmvae_guided.supervision.labels",
            "leiden",
            ["models.gmvae_guided.supervision.labels", "'louvain'"],
        ),
        ("models.ae.input", {"mask": 1}, ["models.ae.input.mask", "less than 1"]),
        (
            "studies.quickstart.models",
            ["cvae_forget"],
            ["sees the condition", "'pbmc68k_reduced' does not have"],
        ),
        (
            "models.gmvae.training.batch_size",
            1,
            ["models.gmvae", "training.batch_size", "needs 2 cells"],
        ),
        ("device", "gpu", ["device", "'gpu'", "'cuda'"]),
        ("datasets.kang.holdout", {"treated": ["B"], "seed": 1}, ["treated takes no other key"]),
        (
            "datasets.kang.holdout",
            {"treated": ["B"], "stratify": ["batch"]},
            ["treated takes no other key"],
        ),
        ("datasets.kang.holdout", {"treated": ["B"], "share": 0.1}, ["share or cells or treated"]),
        (
            "datasets.kang_control.holdout",
            {"treated": ["B"], "share": None, "stratify": None},
            ["holdout.treated needs columns.condition and control"],
        ),
        (
            "studies.treatment.evaluations",
            ["perturbatin"],
            ["studies.treatment.evaluations.0", "'perturbation'"],
        ),
        (
            "studies.treatment.perturbation",
            {"cell_type": ["class_0"]},
            ["did you mean 'cell_types'"],
        ),
        (
            "studies.treatment.datasets",
            ["digits"],
            ["studies.treatment", "'digits' has no control", "columns.condition"],
        ),
        (
            "datasets.blobs.scale",
            {"max_value": 10},
            ["studies.treatment", "'blobs' is scaled or balanced", "models' input"],
        ),
        (
            "datasets.blobs.balance",
            {"by": "condition", "n": 9},
            ["studies.treatment", "'blobs' is scaled or balanced"],
        ),
        (
            "datasets.blobs.holdout",
            {"cells": {"cell_type": ["class_1"]}},
            ["'blobs' holds out cells by label", "in turn"],
        ),
        (
            "datasets.blobs.holdout",
            {"treated": ["class_1"]},
            ["'blobs' holds out cells by label", "perturbation.cell_types"],
        ),
        (
            "studies.treatment.perturbation",
            {"cell_types": ["T 1", "T-1"]},
            ["perturbation.cell_types", "differ by no letter", "rename"],
        ),
        (
            "studies.treatment.perturbation",
            {"in_sample": False},
            ["perturbation.cell_types is empty and in_sample false"],
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key_and_the_cure(raw_config, path, value, words):
    with pytest.raises(UserError) as raised:
        load(changed(raw_config, path, value))
    message = str(raised.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def test_a_phase_has_from_the_training_what_it_leaves_out(raw_config):
    training = {
        "epochs": 5,
        "learning_rate": 0.01,
        "phases": [{"objective": "pretraining"}, {"epochs": 7}],
    }
    phases = (
        load(changed(raw_config, "models.gmvae.training", training))
        .models["gmvae"]
        .training.model_dump()["phases"]
    )
    assert phases == [
        {"epochs": 5, "learning_rate": 0.01, "weight_decay": 0.0, "objective": "pretraining"},
        {"epochs": 7, "learning_rate": 0.01, "weight_decay": 0.0, "objective": "unsupervised"},
    ]


def test_a_list_of_learning_rates_is_a_phase_each(raw_config):
    phases = [{"learning_rate": [0.1, 0.01], "objective": "pretraining"}, {"learning_rate": 0.2}]
    written = [
        {"learning_rate": 0.1, "objective": "pretraining"},
        {"learning_rate": 0.01, "objective": "pretraining"},
        {"learning_rate": 0.2},
    ]
    first, second = (
        load(changed(raw_config, "models.gmvae.training.phases", given)).models["gmvae"]
        for given in (phases, written)
    )
    assert first == second
    assert len(first.training.phases) == 3
    for given in ([], [0.1, "fast"], [0.1, 0]):
        phases = [{"learning_rate": given}]
        with pytest.raises(UserError, match=r"models\.gmvae\.training\.phases\.\d\.learning_rate"):
            load(changed(raw_config, "models.gmvae.training.phases", phases))


def with_entries(raw, kind, **entries):
    """A configuration with further entries of one of its tables."""
    return {**raw, kind: {**raw[kind], **entries}}


def test_a_model_that_extends_another_has_all_settings_but_its_own(raw_config):
    given = {"extends": "gmvae_guided", "title": "Mine", "hyperparameters": {"n_components": 20}}
    models = load(with_entries(raw_config, "models", mine=given)).models
    mine, parent = models["mine"].model_dump(), models["gmvae_guided"].model_dump()
    assert mine["hyperparameters"].pop("n_components") == 20
    assert parent["hyperparameters"].pop("n_components") == 15
    assert mine.pop("title") == "Mine"
    assert parent.pop("title") != "Mine"
    assert mine == parent
    assert mine["extends"] is None


def test_extending_goes_over_files_in_any_order(raw_config):
    given = {
        "third": {"extends": "second", "training": {"batch_size": 7}},
        "second": {"extends": "first", "hyperparameters": {"latent_dim": 2}},
        "first": {"extends": "vae", "training": {"epochs": 3}},
    }
    models = load(with_entries(raw_config, "models", **given)).models
    third = models["third"]
    assert third.training.epochs == 3
    assert third.training.batch_size == 7
    assert third.hyperparameters.latent_dim == 2
    assert third.input == models["vae"].input
    chain = {f"m{i}": {"extends": f"m{i + 1}"} for i in range(3000)}
    chain["m3000"] = {"extends": "vae"}
    assert load(with_entries(raw_config, "models", **chain)).models["m0"].input == third.input


def test_what_extends_another_without_a_title_is_named_after_itself(raw_config):
    given = {"mine": {"extends": "vae"}}
    assert load(with_entries(raw_config, "models", **given)).models["mine"].title == (
        "Denoising VAE (mine)"
    )
    given = {"mine": {"extends": "digits"}}
    assert load(with_entries(raw_config, "datasets", **given)).datasets["mine"].title == (
        "Digits (mine)"
    )


def test_null_drops_a_section_or_a_list_and_sets_a_value(raw_config):
    given = {
        "extends": "gmvae_transfer",
        "input": None,
        "supervision": None,
        "hyperparameters": {"encoder_hidden": None},
        "training": {"objective": "unsupervised"},
    }
    mine = load(with_entries(raw_config, "models", mine=given)).models["mine"]
    assert mine.input == Input()
    assert mine.supervision is None
    assert mine.hyperparameters.encoder_hidden == type(mine.hyperparameters)().encoder_hidden
    given = {"extends": "gmvae", "input": {"n_pcs": None}}
    mine = load(with_entries(raw_config, "models", mine=given)).models["mine"]
    assert mine.input == Input(scale=True, max_value=10)


def test_a_data_set_that_extends_another_replaces_files_and_values_as_a_whole(raw_config):
    given = {
        "extends": "kang_subset",
        "files": {"counts": {"path": "mine.h5ad"}, "annotation": {"path": "labels.csv"}},
        "columns": {"batch": None},
        "drop": {"cell_type": ["B"]},
        "qc": {"min_genes": 5},
        "holdout": None,
    }
    datasets = load(with_entries(raw_config, "datasets", mine=given)).datasets
    mine, parent = datasets["mine"], datasets["kang_subset"]
    assert set(mine.files) == {"counts", "annotation"}
    assert mine.columns == parent.columns.model_copy(update={"batch": None})
    assert mine.drop == {"cell_type": ["B"]}
    assert mine.qc == parent.qc.model_copy(update={"min_genes": 5})
    assert mine.holdout is None
    assert mine.control == parent.control


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"a": {"extends": "gmva"}}, ["models.a.extends names 'gmva'", "did you mean 'gmvae'"]),
        ({"a": {"extends": "a"}}, ["models.a.extends", "a -> a"]),
        (
            {"a": {"extends": "b"}, "b": {"extends": "c"}, "c": {"extends": "b"}},
            ["models.b.extends", "b -> c -> b"],
        ),
        ({"a": {"extends": 5}}, ["models.a.extends is 5", "name of an entry of models"]),
        ({"a": {"extends": ["vae"]}}, ["models.a.extends is ['vae']", "name of an entry"]),
        ({"a": {"extends": "b"}, "b": 5}, ["models.b is 5", "mapping of keys"]),
        (
            {"a": {"extends": "b"}, "b": {"extends": "vae", "hyperparameters": {"bta": 1}}},
            ["unknown key 'models.b.hyperparameters.bta'", "did you mean 'beta'"],
        ),
        (
            {"a": {"extends": "vae", "family": "pca"}},
            ["unknown key 'models.a.hyperparameters.encoder_hidden'"],
        ),
    ],
)
def test_a_mistake_in_extending_is_one_line(raw_config, entries, words):
    with pytest.raises(UserError) as raised:
        load(with_entries(raw_config, "models", **entries))
    message = str(raised.value)
    assert "\n" not in message
    assert [word for word in words if word not in message] == []


def test_a_study_of_cells_held_out_needs_some(raw_config):
    study = {
        "title": "x",
        "datasets": ["mnist", "kang"],
        "models": ["pca"],
        "seeds": [0],
        "cells": "held_out",
    }
    assert load(changed(raw_config, "studies.x", study)).studies["x"].cells == "held_out"
    with pytest.raises(
        UserError,
        match=r"studies\.x\.cells is held_out, but data set 'digits' holds out no cells; give it a",
    ):
        load(changed(raw_config, "studies.x", {**study, "datasets": ["mnist", "digits"]}))


def test_no_model_is_told_labels_that_are_clusters_of_cells_held_out(raw_config):
    study = {"title": "x", "datasets": ["pbmc3k"], "models": ["gmvae_guided"], "seeds": [0]}
    raw_config = changed(raw_config, "studies.x", study)
    load(raw_config)
    with pytest.raises(
        UserError,
        match="sees the cell_type of each cell, but the cell types of 'pbmc3k' are derived "
        "from all cells",
    ):
        load(changed(raw_config, "models.gmvae_guided.supervision.labels", "cell_type"))
    study = {"title": "x", "datasets": ["digits"], "models": ["cgmvae_supervised"], "seeds": [0]}
    with pytest.raises(
        UserError, match="sees the condition of each cell, which data set 'digits' does not have"
    ):
        load(changed(raw_config, "studies.x", study))
    study = {"title": "x", "datasets": ["mnist"], "models": ["thesis_transfer"], "seeds": [0]}
    with pytest.raises(
        UserError, match="labelled cells of 'zheng', whose normalization is not that of 'mnist'"
    ):
        load(changed(raw_config, "studies.x", study))
    study = {"title": "x", "datasets": ["digits"], "models": ["other"], "seeds": [0]}
    other = {"extends": "gmvae_transfer", "supervision": {"dataset": "pbmc3kk"}}
    with pytest.raises(
        UserError,
        match=r"models\.other\.supervision\.dataset names 'pbmc3kk', which is not defined; did "
        r"you mean",
    ):
        load(
            {
                **raw_config,
                "models": {**raw_config["models"], "other": other},
                "studies": {**raw_config["studies"], "x": study},
            }
        )


def test_treated_cells_cannot_be_held_out_by_types_that_are_derived(raw_config):
    derived = {
        "extends": "kang_subset",
        "labels": "derived",
        "columns": {"cell_type": None},
        "holdout": None,
    }
    study = {
        "title": "x",
        "datasets": ["mine"],
        "models": ["ae"],
        "seeds": [0],
        "evaluations": ["perturbation"],
    }
    config = {
        **raw_config,
        "datasets": {**raw_config["datasets"], "mine": derived},
        "studies": {"x": study},
        "run": ["x"],
    }
    load(config)
    with pytest.raises(
        UserError,
        match=r"cell types of data set 'mine' are derived .*; leave perturbation\.cell_types",
    ):
        load(changed(config, "studies.x.perturbation", {"cell_types": ["cluster 0"]}))


def test_each_cell_type_of_a_study_of_perturbations_has_a_data_set_without_its_treated_cells(
    raw_config,
):
    study = {
        **raw_config["studies"]["treatment"],
        "datasets": ["kang_subset"],
        "perturbation": {"cell_types": ["B", "CD14+Mono"]},
    }
    config = load({**raw_config, "studies": {"x": study, "again": study, **raw_config["studies"]}})
    found = held_out_datasets(config)
    assert list(found) == [
        "kang_subset.without_B",
        "kang_subset.without_CD14_Mono",
        "blobs.without_class_0",
    ]
    monocytes, whole = found["kang_subset.without_CD14_Mono"], config.datasets["kang_subset"]
    assert monocytes.holdout == Holdout(treated=["CD14+Mono"])
    assert monocytes.holdout.labels == {"cell_type", "condition"}
    assert whole.holdout.share is not None
    assert monocytes.title == f"{whole.title}, treated CD14+Mono held out"
    of_both = {"exclude": {"title", "holdout"}}
    assert monocytes.model_dump(**of_both) == whole.model_dump(**of_both)
    assert (
        held_out_datasets(
            load(changed(raw_config, "studies.treatment.evaluations", ["clustering"]))
        )
        == {}
    )


def floors_of(raw_config, **models):
    """The floors of a study of some models, given as family, latent_dim and input, and of those the
    added ones.
    """
    models = {
        name: {
            "title": name,
            "family": family,
            "hyperparameters": {"latent_dim": width},
            "input": given,
        }
        for name, (family, width, given) in models.items()
    }
    study = {"title": "x", "datasets": ["digits"], "models": list(models), "seeds": [0]}
    return floors(
        load({**raw_config, "run": ["x"], "models": models, "studies": {"x": study}}), "x"
    )


def test_a_pca_of_the_study_is_the_floor_of_models_of_its_width(raw_config):
    of_models, added = floors_of(
        raw_config, p=("pca", 4, {}), v=("vae", 4, {}), w=("vae", 7, {}), wide=("pca", 50, {})
    )
    assert of_models == {"p": "p", "v": "p", "w": "floor.pca_7", "wide": "wide"}
    assert list(added) == ["floor.pca_7"]
    assert added["floor.pca_7"].model_dump(include={"title", "family", "hyperparameters"}) == {
        "title": "PCA of 7",
        "family": "pca",
        "hyperparameters": {"latent_dim": 7},
    }


def test_a_pca_of_50_stands_beside_all_models(raw_config):
    of_models, added = floors_of(raw_config, p=("pca", 4, {}), v=("vae", 4, {}))
    assert of_models == {"p": "p", "v": "p"}
    assert {name: model.hyperparameters.latent_dim for name, model in added.items()} == {
        "floor.pca_50": 50
    }
    assert added["floor.pca_50"].training == load(raw_config).models["pca"].training, (
        "every phase is written out"
    )


def test_a_floor_is_given_what_its_model_is_given(raw_config):
    scaled, clipped = {"scale": True}, {"scale": True, "max_value": 2.5}
    given = {
        "p": ("pca", 4, {}),
        "s": ("vae", 4, scaled),
        "c": ("vae", 4, clipped),
        "n": ("vae", 4, {"n_pcs": 20, "mask": 0.1}),
    }
    of_models, added = floors_of(raw_config, **given)
    assert of_models == {
        "p": "p",
        "s": "floor.pca_4_scaled",
        "c": "floor.pca_4_scaled_2.5",
        "n": "p",
    }
    assert {name: model.input for name, model in added.items()} == {
        "floor.pca_50": Input(),
        "floor.pca_4_scaled": Input(**scaled),
        "floor.pca_50_scaled": Input(**scaled),
        "floor.pca_4_scaled_2.5": Input(**clipped),
        "floor.pca_50_scaled_2.5": Input(**clipped),
    }
    assert added["floor.pca_4_scaled_2.5"].title == "PCA of 4, z-scores to 2.5"


def test_no_model_can_have_the_name_of_a_floor(raw_config):
    pca = {"title": "x", "family": "pca"}
    with pytest.raises(UserError, match=r"floor\.pca_50"):
        load({**raw_config, "models": {**raw_config["models"], "floor.pca_50": pca}})


def test_hyperparameters_are_read_without_torch():
    code = (
        "import sys; from sclatent.families.registry import family_files, family_names, "
        "hyperparameters_class;"
        "print(*[hyperparameters_class(name)().latent_dim for name in family_names()]);"
        "sys.exit('torch' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(LIBRARY.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.split()) == len(family_names()) == 7


@pytest.mark.parametrize("family", family_names())
def test_a_family_has_hyperparameters_and_a_network(family):
    assert all(path.is_file() for path in family_files(family))
    assert issubclass(load_family(family), LatentModel)


@pytest.mark.parametrize("path", documents())
def test_generated_documents_are_up_to_date(project, path):
    assert (project / path).read_text() == documents()[path], "run `make reference`"


def as_json(config):
    """A configuration as text: 0 and 0.0 differ, as they do for the parameters of a job."""
    return json.dumps(config.model_dump(), sort_keys=True)


@pytest.mark.parametrize("files", [[], ["config/paper.yaml"], ["config/gallery.yaml"]])
def test_the_effective_configuration_read_again_is_itself(files):
    """Alone, and merged over the tables, as `--configfile results/configuration.yaml` does."""
    effective = load(merged_config(*files))
    written = yaml.safe_load(yaml.safe_dump(effective.model_dump(mode="json")))
    assert as_json(load(written)) == as_json(effective)
    again = load(with_tables(written, PROJECT / "config")).model_dump()
    for kind in ("datasets", "models", "studies"):
        assert {name: again[kind][name] for name in written[kind]} == (
            effective.model_dump()[kind]
        ), kind
    assert again["run"] == effective.run


@pytest.mark.parametrize("files", [[], ["config/paper.yaml"], ["config/gallery.yaml"]])
def test_the_schema_accepts_the_configuration_as_written_and_the_effective_one(files):
    schema = configuration_schema()
    raw = merged_config(*files)
    jsonschema.validate(raw, schema)
    jsonschema.validate(load(raw).model_dump(mode="json"), schema)
    for key in ("extends", "family"):
        entry = {"title": "x", "extends": "vae", "family": "vae", key: 5}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(with_entries(raw, "models", mine=entry), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(with_entries(raw, "models", mine={"family": "vae"}), schema)


def test_a_change_of_an_entry_does_not_reach_another_that_shares_its_mapping():
    """Aliases in the tables of data sets make entries share mappings."""
    files = {"counts": {"name": "other.h5ad", "sha256": None}}
    changed = with_tables({"datasets": {"zheng_h5ad": {"files": files}}}, PROJECT / "config")
    tables = merged_config()
    assert changed["datasets"].pop("zheng_h5ad") != tables["datasets"].pop("zheng_h5ad")
    assert changed == tables


# Beside the quick start: uses every section and every kind of reference.
EVERYTHING = """
run: [quickstart, treatment, own]
datasets:
  own:
    title: Own
    files:
      counts: {path: own.h5ad}
      annotation: {name: labels.csv, urls: [https://example.org/labels.csv]}
    layer: counts
    columns: {cell_type: type, condition: stimulus, batch: donor, gene: symbol}
    control: none
    keep: {donor: [one, two]}
    drop: {type: [doublet]}
    qc: {min_genes: 5}
    scale: {max_value: 10}
    holdout: {share: 0.1, stratify: [cell_type]}
    balance: {by: louvain, n: 5}
    clusters: {n_pcs: 20}
  own_child:
    extends: own
    holdout: {share: null, stratify: null, cells: {cell_type: [B]}}
models:
  guided:
    title: Guided
    family: gmvae
    hyperparameters: {n_components: 5, classifier: x}
    input: {scale: true, n_pcs: 20}
    supervision: {labels: louvain, dataset: own_child}
    training: {phases: [{learning_rate: [0.1, 0.01], objective: supervised}, {epochs: 5}]}
  guided_child:
    extends: guided
    hyperparameters: {n_components: 6}
  conditional:
    extends: beta_vae
    family: cvae
    condition: batch
studies:
  own:
    title: Own
    datasets: [own, own_child]
    models: [pca, guided, guided_child, conditional]
    seeds: [0]
    evaluations: [clustering, generation]
    cells: held_out
    embedding: {perplexity: 30}
    clustering: {n_init: 5}
    perturbation: {cell_types: [B]}
"""
REFERENCES = [
    r"run\.\d+",
    r"studies\.\w+\.(datasets|models)\.\d+",
    r"(datasets|models)\.\w+\.extends",
    r"models\.\w+\.supervision\.dataset",
    r"models\.\w+\.family",
]
# Columns of the user's files, whose names a configuration cannot know.
UNKNOWN = r"datasets\.\w+\.(keep|drop)\.\w+"
NAMES = r"(datasets|models|studies)\.\w+"


@pytest.fixture(scope="module")
def everything(raw_config):
    """A small configuration that uses every section, and its effective form with every key."""
    raw = yaml.safe_load(EVERYTHING)
    for kind, names in {
        "datasets": ["pbmc68k_reduced", "digits", "blobs"],
        "models": ["pca", "ae", "beta_vae", "beta_vsc", "cgmvae_blobs"],
        "studies": ["quickstart", "treatment"],
    }.items():
        raw[kind] |= {name: raw_config[kind][name] for name in names}
    return [raw, load(raw).model_dump(mode="json")]


def positions(value, path=()):
    """The path of every key and every text in a configuration."""
    if isinstance(value, str):
        yield path
    for key, entry in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    ):
        if isinstance(key, str):
            yield (*path, "key", key)
        yield from positions(entry, (*path, key))


def misspelt(value, path):
    """A configuration with an x behind the key or the text at a path."""
    if not path:
        return f"{value}x"
    if path[0] == "key" and len(path) == 2:
        return {(f"{key}x" if key == path[1] else key): entry for key, entry in value.items()}
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[path[0]] = misspelt(value[path[0]], path[1:])
    return changed


def planned(raw):
    """What Snakemake plans with."""
    config = load(raw)
    return [held_out_datasets(config), *(floors(config, study) for study in config.studies)]


@pytest.mark.parametrize("form", [0, 1])
def test_whatever_is_misspelt_is_one_line_with_its_place_and_the_nearest_name(everything, form):
    raw = everything[form]
    planned(raw)
    wrong, refused_keys = [], 0
    for path in positions(raw):
        is_key = len(path) > 1 and path[-2] == "key"
        place = ".".join(map(str, (*path[:-2], path[-1]) if is_key else path))
        original = path[-1] if is_key else at(raw, path)
        try:
            planned(misspelt(raw, path))
        except UserError as error:
            message = str(error)
        else:
            message = ""
        is_reference = not is_key and any(re.fullmatch(p, place) for p in REFERENCES)
        if is_key and re.fullmatch(NAMES, place):
            needed = [] if not message else [f"'{original}'", f"did you mean '{original}x'"]
        elif is_key and not re.fullmatch(UNKNOWN, place):
            refused_keys += 1
            if ".files." in place and path[-3] == "files":
                needed = [".".join(path[:2])]  # what roles there are depends on the data set
            else:
                needed = [f"{place}x"]
                if "holdout.cells." not in place:  # the message has all labels
                    needed.append(f"did you mean '{original}'")
        elif is_reference:
            needed = [re.sub(r"\.\d+$", "", place), f"{original}x'", f"did you mean '{original}'"]
        else:
            needed = []
        if "\n" in message or any(word not in message for word in needed):
            wrong.append((place, message))
    assert not wrong, "\n".join(f"{place}: {message}" for place, message in wrong)
    assert refused_keys > 100


def at(value, path):
    """The text at a path of a configuration."""
    for key in path:
        value = value[key]
    return value


@pytest.mark.parametrize("kind", ["models", "datasets"])
@pytest.mark.parametrize("evaluation", ["clustering", "perturbation"])
def test_a_name_that_is_not_defined_is_refused_before_anything_looks_it_up(
    raw_config, kind, evaluation
):
    """A study of perturbations used to look its models up first, which ended in a KeyError."""
    raw = changed(raw_config, "studies.treatment.evaluations", [evaluation])
    name = raw["studies"]["treatment"][kind][0]
    raw = changed(raw, f"studies.treatment.{kind}", [f"{name}x"])
    with pytest.raises(UserError, match=f"studies.treatment.{kind} names '{name}x'.*'{name}'"):
        load(raw)
