"""The paper: its numbers are those of the tables, what is missing ends the build, and equal inputs
give equal bytes.
"""

import contextlib
import copy
import itertools
import json
import re
import shutil
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import typst
import yaml
from helpers import PROJECT, job
from snakemake.utils import update_config

import paper as script
from sclatent.common.errors import UserError
from sclatent.config.floors import floors
from sclatent.config.load import Config, load
from sclatent.families.base import Likelihood
from sclatent.families.registry import family_names
from sclatent.figures.catalogue import CATALOGUE
from sclatent.io.contracts import TABLES
from sclatent.io.tables import as_kind, write_table
from sclatent.report.paper import (
    SHOWN,
    SUMMARIES,
    read_references,
    read_summary,
    software,
)

TEMPLATE = PROJECT / "workflow" / "paper"
CONFIG = yaml.safe_load((PROJECT / "config" / "paper.yaml").read_text())
MODELS = [
    "pca",
    "ae",
    "beta_vae",
    "beta_vsc",
    "ae_code",
    "beta_vae_code",
    "beta_vsc_code",
    "vae",
    "vae_6",
    "denoising_vsc",
]
FLOORS = {
    "floor.pca_50": "PCA of 50",
    "floor.pca_6_scaled_10": "PCA of 6 of z-scores",
    "floor.pca_10_scaled_10": "PCA of 10 of z-scores",
}
PREDICTORS = [
    ("", "no_change"),
    ("", "real_cells"),
    ("beta_vae", "scgen"),
    ("cgmvae_blobs", "flip_w"),
]
DRUGS = {
    "title": "Drugs",
    "datasets": ["blobs"],
    "models": ["beta_vae", "cgmvae_blobs"],
    "seeds": [0, 1],
    "evaluations": ["perturbation", "generation"],
    "perturbation": {"cell_types": ["class_0"]},
}
BOUNDS = {"sd": 0.012, "n": 5, "n_seeds": 5, "failed_share": 0.0, "floor": 0.5, "ceiling": 1.0}


def number(*names: object) -> float:
    """A number for these names, of three decimals, unlike that of other names."""
    return round(
        0.1
        + sum(ord(letter) * 7 ** (i % 5) for i, letter in enumerate("".join(map(str, names))))
        % 8000
        / 10000,
        3,
    )


def means(rows: list[dict], kind: str) -> pd.DataFrame:
    """A table of means of a kind, each mean told by its keys and 0.1 to 0.3 above its floor."""
    table = pd.DataFrame(
        [
            {**BOUNDS, "difference": 0.2, "ci_low": 0.1, "ci_high": 0.3, "rank": 1, **row}
            for row in rows
        ]
    )
    columns = list(TABLES[kind])
    keys = columns[: columns.index("mean")]
    if "mean" not in table:
        table["mean"] = [number(*(row[key] for key in keys)) for row in table.to_dict("records")]
    return as_kind(table, kind)


def clusters(dataset: str, models: list[str]) -> pd.DataFrame:
    metrics = ["nmi_geometric", "ari", "homogeneity", "completeness", "n_missed"]
    shared = {"dataset": dataset, "split": "all", "subset": "all", "train_seconds": 12.34}
    over = itertools.product(models, ["mean", "sample"], ["kmeans_latent", "kmeans_tsne"], metrics)
    rows = [
        dict(zip(["model", "latent", "method", "metric"], names, strict=True)) for names in over
    ]
    return means([{**shared, **row} for row in rows], "summary")


def predictions() -> pd.DataFrame:
    shared = {
        "dataset": "blobs",
        "split": "held_out",
        "condition": "trtmnt",
        "cell_type": "mean of types",
        "subset": "all",
    }
    over = itertools.product(PREDICTORS, ["pearson_squared_mean", "r2_mean", "e_distance"])
    rows = [
        {**shared, "model": model, "method": method, "metric": metric}
        for (model, method), metric in over
    ]
    table = means(rows, "perturbation_summary")
    table["model"] = table["model"].replace("", None)
    return table


def draws(model: str, metrics: list[str]) -> pd.DataFrame:
    shared = {"dataset": "blobs", "model": model, "condition": "all", "cell_type": "mean of groups"}
    return means([{**shared, "metric": metric} for metric in metrics], "generation_summary")


class Build:
    """The files of a run of two studies, of which the script makes a paper."""

    def __init__(self, folder: Path, config: Config):
        self.folder, self.template = folder, TEMPLATE
        self.configuration = config.model_dump(mode="json")
        self.tables_in, self.kept = "results/studies", False
        absent = pd.DataFrame(
            [
                ("perturbation", "blobs", None, "class_0, trtmnt: top_100", "there are 16 genes"),
                ("generation", "blobs", "beta_vae", "right_label", "cells are drawn for no type"),
                ("generation", "other", None, "all", "no rows of blobs are excused by it"),
            ],
            columns=["evaluation", "dataset", "model", "what", "reason"],
        )
        runs = pd.DataFrame(
            [("blobs", "beta_vae", 1, "failed", "the loss is nan")], columns=list(TABLES["runs"])
        )
        drawn = pd.concat(
            [
                draws("beta_vae", ["two_sample_auc", "mmd"]),
                draws("cgmvae_blobs", ["two_sample_auc", "mmd", "right_label", "types_drawn"]),
            ]
        )
        self.tables = {
            ("pbmc3k", "summary"): clusters("pbmc3k_h5ad", [*MODELS, *FLOORS]),
            ("drugs", "perturbation_summary"): predictions(),
            ("drugs", "generation_summary"): drawn,
            ("drugs", "absent"): absent,
            ("drugs", "runs"): runs,
        }
        self.titles = {
            name: {
                "title": study.title,
                "datasets": {dataset: config.datasets[dataset].title for dataset in study.datasets},
                "models": {model: config.models[model].title for model in study.models},
            }
            for name, study in config.studies.items()
        }
        self.titles["pbmc3k"]["models"] |= FLOORS
        training = {
            "provenance": {
                "sclatent": "0",
                "python": "3",
                "packages": {"torch": "9.9"},
                "device": "cpu",
                "threads": 1,
            }
        }
        self.write("results/runs/blobs/ae/0/run.json", json.dumps(training))
        figure = "results/studies/drugs/figures/quality_control/blobs.svg"
        self.write(
            figure,
            '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="900"><rect width="50" '
            'height="50"/></svg>',
        )
        wildcards = {"study": "drugs", "figure": "quality_control", "subject": "blobs"}
        self.figures = [
            {
                "path": figure,
                "wildcards": wildcards,
                "figure": "Quality control",
                "of": "Blobs",
                "caption": CATALOGUE["quality_control"].caption,
            }
        ]
        self.conditions = {"ae": None, "cgmvae_blobs": "condition"}

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return name

    def drop(self, study: str, table: str, **keys: str) -> None:
        """Remove the rows with these keys from a table."""
        found = self.tables[study, table]
        gone = pd.concat([found[column] == key for column, key in keys.items()], axis=1).all(axis=1)
        assert gone.any()
        self.tables[study, table] = found[~gone]

    def tables_on_disk(self) -> list[str]:
        paths = []
        for study, kind in itertools.product(self.titles, [*SUMMARIES, "runs", "absent"]):
            paths.append(f"{self.tables_in}/{study}/{kind}.tsv")
            (self.folder / paths[-1]).parent.mkdir(parents=True, exist_ok=True)
            table = self.tables.get((study, kind), pd.DataFrame(columns=list(TABLES[kind])))
            origin = {"sclatent": "0", "python": "3", "packages": {"scipy": "1.2"}}
            write_table(as_kind(table, kind), self.folder / paths[-1], kind, origin)
        return paths

    def quality_control(self, dataset: str) -> str:
        path = self.folder / f"results/data/{dataset}/qc.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        steps = pd.DataFrame(
            [("nothing", 2700, 13714), ("fewer than 200 genes", 2638, 13714)],
            columns=list(TABLES["qc"]),
        )
        write_table(steps, path, "qc", {"sclatent": "0", "python": "3", "packages": {}})
        return f"results/data/{dataset}/qc.tsv"

    def make(self) -> bytes:
        datasets = [dataset for study in self.titles.values() for dataset in study["datasets"]]
        files = {
            "configuration": self.write(
                "results/configuration.yaml", "# {}\n" + yaml.safe_dump(self.configuration)
            ),
            "tables": self.tables_on_disk(),
            "quality_control": [self.quality_control(dataset) for dataset in datasets],
            "trainings": ["results/runs/blobs/ae/0/run.json"],
            "figures": [figure["path"] for figure in self.figures],
            **({"quality_control": [], "trainings": [], "figures": []} if self.kept else {}),
            "template": sorted(map(str, self.template.glob("*.typ"))),
            "references": str(TEMPLATE / "references.yaml"),
        }
        params = {
            "studies": self.titles,
            "kinds": [*SUMMARIES, "runs", "absent"],
            "datasets": datasets,
            "figures": self.figures,
            "conditions": self.conditions,
        }
        if self.kept:
            params |= {"datasets": [], "figures": []}
        output = ["results/paper.pdf"]
        rule = "paper_kept" if self.kept else "paper"
        with contextlib.chdir(self.folder):
            script.main(job(rule, files, output, params))
        return (self.folder / output[0]).read_bytes()

    def files(self) -> dict[str, bytes]:
        """Make the paper and return the files that were typeset."""
        given, compile_pdf = [], typst.compile
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                typst,
                "compile",
                lambda files, **options: given.append(files) or compile_pdf(files, **options),
            )
            self.make()
        return given[0]

    def elements(self, selector: str) -> list[dict]:
        """Make the paper and return all its elements of a kind."""
        return json.loads(typst.query(self.files(), selector))

    def texts(self, selector: str = "figure") -> list[str]:
        """Make the paper and return the texts of all its elements of a kind; of its tables and
        figures where none is named.
        """
        return [" ".join(text_of(element).split()) for element in self.elements(selector)]

    def words(self) -> str:
        """Make the paper and return the text of its paragraphs."""
        return " ".join(self.texts("par"))

    def absent(self, study: str, *rows: tuple) -> None:
        """Say of what else a study has none: evaluation, data set, model, what and why."""
        table = pd.DataFrame(rows, columns=["evaluation", "dataset", "model", "what", "reason"])
        self.tables[study, "absent"] = pd.concat([self.tables.get((study, "absent")), table])

    def runs(self, study: str, dataset: str, **failed: int) -> None:
        """Say how many of three seeds of each model failed."""
        rows = [
            (
                dataset,
                model,
                seed,
                "failed" if seed < n else "trained",
                "the loss is nan" if seed < n else None,
            )
            for model, n in failed.items()
            for seed in range(3)
        ]
        self.tables[study, "runs"] = pd.DataFrame(rows, columns=list(TABLES["runs"]))


@pytest.fixture(scope="module")
def config(raw_config) -> Config:
    """The configuration of two studies: that of the paper, and predictions and draws."""
    studies = {"pbmc3k": {**CONFIG["studies"]["pbmc3k"], "models": MODELS}, "drugs": DRUGS}
    tables = {
        kind: {name: raw_config[kind][name] for study in studies.values() for name in study[kind]}
        for kind in ("datasets", "models")
    }
    return load({**tables, "run": list(studies), "studies": studies})


@pytest.fixture
def build(tmp_path, config) -> Build:
    return Build(tmp_path, config)


@pytest.fixture(scope="module")
def figures(tmp_path_factory, config) -> list[str]:
    """The texts of all tables and figures of a paper of results as they are."""
    return Build(tmp_path_factory.mktemp("paper"), config).texts()


def text_of(element: object) -> str:
    """All text within an element of a document, in its order."""
    if isinstance(element, list):
        return " ".join(filter(None, map(text_of, element)))
    if not isinstance(element, dict):
        return ""
    own = [element["text"]] if isinstance(element.get("text"), str) else []
    return " ".join(
        filter(
            None,
            [*own, *(text_of(part) for part in element.values() if isinstance(part, dict | list))],
        )
    )


def test_numbers_of_the_paper_are_those_of_the_tables(figures):
    texts = figures
    (agreement,) = [text for text in texts if "NMI and ARI of k-means on the mean latent" in text]
    for model in [*MODELS, *FLOORS]:
        mean = number("pbmc3k_h5ad", model, "all", "mean", "kmeans_latent", "nmi_geometric", "all")
        assert f"{mean:.3f} ± 0.012" in agreement
    assert "+0.200 [+0.100, +0.300]" in agreement
    assert "12.3" in agreement
    (predicted,) = [text for text in texts if "Predicted treated cells" in text]
    for model, method in PREDICTORS:
        mean = number(
            "blobs", model, "held_out", "trtmnt", "mean of types", method, "r2_mean", "all"
        )
        assert f"{mean:.3f} ± 0.012" in predicted
    assert "top 100" not in predicted, "no predictor has it"
    (drawn,) = [text for text in texts if "Drawn cells" in text]
    assert f"{number('blobs', 'cgmvae_blobs', 'all', 'mean of groups', 'types_drawn'):.3f}" in drawn


def test_of_kept_tables_alone_there_are_no_figures_sizes_or_devices(build):
    build.tables_in, build.kept = "results/reference", True
    words = build.words()
    assert "a row of a table in results/reference" in words
    assert "paper_kept" in " ".join(build.texts("raw"))
    assert "2638 cells" not in words
    assert "Device:" not in words
    assert not [text for text in build.texts() if "Quality control, Blobs" in text]


def test_a_number_follows_its_table(build):
    table = build.tables["pbmc3k", "summary"]
    chosen = (
        (table["model"] == "ae") & (table["method"] == "kmeans_latent") & (table["metric"] == "ari")
    )
    table.loc[chosen, ["mean", "difference", "ci_low", "ci_high"]] = [
        0.98765,
        -0.1234,
        -0.2345,
        -0.0123,
    ]
    (ari,) = [text for text in build.texts() if "NMI and ARI of k-means on the mean latent" in text]
    assert "0.988 ± 0.012" in ari
    assert "−0.123 [−0.234, −0.012]" in ari


def test_reference_works_stand_beside_ours(figures):
    beside, missed, seconds, _ = [text for text in figures if "What reference works report" in text]
    for reported in ("0.721", "0.440", "0.602"):
        assert reported in beside
    for model in ("ae", "beta_vae_code"):
        mean = number("pbmc3k_h5ad", model, "all", "mean", "kmeans_tsne", "homogeneity", "all")
        assert f"{mean:.3f} ± 0.012 floor 0.500, ceiling 1.000" in beside
    assert (
        f"{number('pbmc3k_h5ad', 'vae', 'all', 'mean', 'kmeans_latent', 'n_missed', 'all'):.3f}"
        in missed
    )
    assert "12.3" in seconds


@pytest.mark.parametrize(
    ("study", "table", "keys"),
    [
        (
            "pbmc3k",
            "summary",
            {"model": "beta_vae", "method": "kmeans_latent", "metric": "nmi_geometric"},
        ),
        (
            "pbmc3k",
            "summary",
            {"model": "beta_vsc_code", "method": "kmeans_tsne", "metric": "completeness"},
        ),
        ("drugs", "perturbation_summary", {"method": "scgen", "metric": "e_distance"}),
        ("drugs", "perturbation_summary", {"model": "cgmvae_blobs"}),
        ("drugs", "perturbation_summary", {"method": "no_change", "metric": "r2_mean"}),
        ("drugs", "generation_summary", {"model": "cgmvae_blobs", "metric": "mmd"}),
    ],
)
def test_a_missing_row_ends_the_build_and_is_named(build, study, table, keys):
    build.drop(study, table, **keys)
    with pytest.raises(
        UserError, match=rf"^results/studies/{study}/{table}\.tsv: no row with "
    ) as caught:
        build.make()
    message = str(caught.value)
    assert all(
        f"{key}: {name}" in message for key, name in keys.items() if key in ("model", "metric")
    )
    assert "\n" not in message
    assert not (build.folder / "results/paper.pdf").exists()


def test_what_does_not_apply_is_a_dash_and_what_failed_says_so(build):
    table = build.tables["pbmc3k", "summary"]
    lost = (table["model"] == "ae_code") & (table["method"] == "kmeans_latent")
    table.loc[
        lost, ["mean", "sd", "floor", "difference", "ci_low", "ci_high", "n", "failed_share"]
    ] = [None] * 6 + [0, 1.0]
    build.drop("pbmc3k", "summary", model="floor.pca_50", method="kmeans_latent")
    reason = ("clustering", "pbmc3k_h5ad", "floor.pca_50", "clusters", "all cells have one label")
    columns = ["evaluation", "dataset", "model", "what", "reason"]
    build.tables["pbmc3k", "absent"] = pd.DataFrame([reason], columns=columns)
    (agreement,) = [
        text for text in build.texts() if "NMI and ARI of k-means on the mean latent" in text
    ]
    assert "AE (code) failed – – failed – – 0 of 5 12.3" in agreement
    assert "PCA of 50 – – – – – – – –" in agreement


def test_a_study_of_which_no_cell_type_can_be_predicted_says_so(build):
    del build.tables["drugs", "perturbation_summary"]
    assert not [text for text in build.texts() if "Predicted treated cells" in text]
    assert "could be predicted" in build.words()


def test_models_that_all_failed_are_reported(build):
    models = [*MODELS, *FLOORS]
    build.tables["pbmc3k", "summary"] = build.tables["pbmc3k", "summary"].iloc[:0]
    build.runs("pbmc3k", "pbmc3k_h5ad", **dict.fromkeys(models, 3))
    texts = build.texts()
    (agreement,) = [text for text in texts if "NMI and ARI of k-means on the mean latent" in text]
    assert agreement.count("failed – – failed – – – –") == len(models)
    assert any("What reference works report" in text for text in texts)
    assert "β-VSC on pbmc3k_h5ad , seeds 0, 1 and 2 ( the loss is nan )" in build.words()
    build.runs("pbmc3k", "pbmc3k_h5ad", **dict.fromkeys(models, 3) | {"ae": 2})
    with pytest.raises(UserError, match=r"summary\.tsv: no row with .*model: ae,"):
        build.make()


def test_a_model_whose_groups_all_have_too_few_cells_is_a_row_of_dashes(build):
    for metric in ("two_sample_auc", "mmd", "right_label"):
        build.drop("drugs", "generation_summary", model="cgmvae_blobs", metric=metric)
    with pytest.raises(
        UserError, match=r"no row with .*model: cgmvae_blobs, metric: two_sample_auc"
    ):
        build.make()
    build.absent(
        "drugs",
        (
            "generation",
            "blobs",
            "cgmvae_blobs",
            "class_0, ctrl",
            "3 cells are drawn and 5 are real, too few",
        ),
    )
    (drawn,) = [text for text in build.texts() if "Drawn cells" in text]
    share = number("blobs", "cgmvae_blobs", "all", "mean of groups", "types_drawn")
    assert f"cGMVAE of blobs – – {share:.3f} ± 0.012" in drawn


def test_a_group_of_too_few_cells_excuses_no_other_group(build):
    build.drop("drugs", "generation_summary", model="cgmvae_blobs", metric="mmd")
    build.absent(
        "drugs",
        (
            "generation",
            "blobs",
            "cgmvae_blobs",
            "class_0, ctrl",
            "3 cells are drawn and 5 are real, too few",
        ),
    )
    with pytest.raises(UserError, match="metric: mmd"):
        build.make()


def test_the_abstract_compares_predictors_with_the_floor_only_where_there_are_intervals(build):
    assert "Of the predictors that have an interval, 4 exceed" in build.words()
    build.tables["drugs", "perturbation_summary"][["ci_low", "ci_high"]] = None
    words = build.words()
    assert "Of the predictors" not in words
    assert "The best predictor is" in words


def test_the_abstract_and_its_table_count_the_models_that_differ_from_their_floor(build):
    table = build.tables["pbmc3k", "summary"]
    nmi = (
        (table["metric"] == "nmi_geometric")
        & (table["method"] == "kmeans_latent")
        & (table["latent"] == "mean")
    )
    table.loc[nmi & (table["model"] == "ae"), ["difference", "ci_low", "ci_high"]] = [
        -0.2,
        -0.3,
        -0.1,
    ]
    table.loc[nmi & (table["model"] == "vae"), ["difference", "ci_low", "ci_high"]] = [
        0.4,
        -0.1,
        0.9,
    ]
    table.loc[nmi & (table["model"] == "beta_vsc"), ["difference", "ci_low", "ci_high"]] = [
        0.3,
        0.2,
        0.4,
    ]
    assert re.search(r"Of 10 comparisons .* 8 agree better .* 1 worse, and 1 ", build.words())
    (overview,) = [text for text in build.texts() if "How many models of each study differ" in text]
    assert "The PBMC3k report 8 1 1 Denoising VAE , +0.400" in overview
    table[["ci_low", "ci_high"]] = None
    assert "comparisons" not in build.words()
    assert not [text for text in build.texts() if "How many models of each study differ" in text]


def test_the_abstract_counts_seeds(build):
    for study, of_study in zip(
        build.configuration["studies"].values(), ([0, 1, 2], [4]), strict=True
    ):
        study["seeds"] = of_study
    assert "1 to 3 seeds" in build.words()


def test_a_command_has_the_path_as_it_is(build):
    old, figure = build.figures[0]["path"], "results/studies/drugs/figures/quality_control/a{b}.svg"
    build.write(figure, (build.folder / old).read_text())
    build.figures[0]["path"] = figure
    (text,) = [text for text in build.texts() if "snakemake --force" in text]
    assert f"snakemake --force {figure} --configfile results/configuration.yaml" in text
    assert "snakemake --force paper --configfile results/configuration.yaml" in build.words()


def test_tables_are_read_where_the_rule_says(build, figures):
    build.tables_in = "elsewhere"
    assert build.texts() == figures


def test_models_are_told_what_the_rule_says(build):
    build.conditions = {"ae": "site_of_origin", "cgmvae_blobs": None}
    (models,) = [
        text for text in build.texts() if "Models, their settings and their training" in text
    ]
    assert re.findall(r"Condition : the (.*?) \.", models) == ["site of origin"]


def test_methods_come_from_the_configuration(build, figures):
    (models,) = [text for text in figures if "Models, their settings and their training" in text]
    assert "encoder hidden 800–400" in models
    assert "15 × 0.005 ( pretraining )" in models
    assert "200 × 0.001" in models
    build.configuration = json.loads(
        json.dumps(build.configuration).replace("[800, 400]", "[801, 400]")
    )
    (models,) = [
        text for text in build.texts() if "Models, their settings and their training" in text
    ]
    assert "encoder hidden 801–400" in models


def test_equal_inputs_give_equal_bytes_and_the_paper_says_where_it_comes_from(build):
    first = build.make()
    assert build.make() == first
    origin = re.search(rb"fingerprint ([0-9a-f]{64})", first)
    assert origin
    assert b"results/studies/drugs/perturbation_summary.tsv" in first
    build.tables["drugs", "perturbation_summary"].loc[0, "mean"] += 0.001
    assert re.search(rb"fingerprint ([0-9a-f]{64})", build.make())[1] != origin[1]


def test_the_paper_has_no_date_and_its_template_no_clock(build):
    assert b"CreationDate" not in build.make()
    build.template = build.folder / "template"
    build.template.mkdir()
    (build.template / "main.typ").write_text("#set document(date: datetime.today())\nwords")
    assert b"D:19700101" in build.make()


def test_a_figure_stands_with_its_caption_and_its_command(figures):
    (figure,) = [text for text in figures if "snakemake --force" in text]
    assert f"Quality control , Blobs . {CATALOGUE['quality_control'].caption}" in figure
    command = "snakemake --force results/studies/drugs/figures/quality_control/blobs.svg"
    assert f"{command} --configfile results/configuration.yaml" in figure


def test_no_number_of_a_result_is_written_in_the_template():
    for path in TEMPLATE.glob("*.typ"):
        assert re.findall(r"(?<![\w.])[+−-]?\d*\.\d\d+", path.read_text()) == [], path.name


def test_families_and_likelihoods_are_described(raw_config):
    described = set(
        re.findall(r"^  (\w+): \[", (TEMPLATE / "families.typ").read_text(), re.MULTILINE)
    )
    assert {model.family for model in load(raw_config).models.values()} <= described
    assert set(get_args(Likelihood)) <= described
    assert described <= {*family_names(), *get_args(Likelihood)}


def test_a_family_without_a_text_goes_by_its_file(build):
    build.template = build.folder / "template"
    shutil.copytree(TEMPLATE, build.template)
    families = build.template / "families.typ"
    families.write_text(families.read_text().replace("  vsc: [", "  nothing: ["))
    assert any("scripts/sclatent/models/vsc.py" in text for text in build.texts("raw"))


def test_references_name_rows_of_the_paper_s_studies(raw_config):
    merged = copy.deepcopy(raw_config)
    update_config(merged, CONFIG)
    config = load(merged)
    for entry in yaml.safe_load((TEMPLATE / "references.yaml").read_text()):
        assert {"id", "source", "data", "setting", "reported", "note"} <= set(entry)
        assert all(isinstance(value, str) for value in entry["reported"].values()), "as printed"
        for row in entry["ours"]:
            assert row["study"] in CONFIG["run"]
            study = config.studies[row["study"]]
            assert row["dataset"] in study.datasets
            assert row.get("model") in {None, *study.models, *floors(config, row["study"])[1]}
            table = TABLES[row.get("table", "summary")]
            assert set(row) - {"study", "table", "column"} <= set(table)
            assert row.get("column", "mean") in table
            metrics = {row["metric"]} if "metric" in row else set(entry["reported"])
            assert metrics <= SHOWN | (
                {"recall"} if row.get("method") == "components" else set()
            ), "rows that are kept"


def test_references_to_studies_that_a_run_does_not_make_are_left_out():
    assert read_references(TEMPLATE / "references.yaml", ["quickstart"]) == []
    kept = read_references(TEMPLATE / "references.yaml", ["pbmc3k"])
    assert {"R1", "R5"} <= {entry["id"] for entry in kept}
    assert {row["study"] for entry in kept for row in entry["ours"]} == {"pbmc3k"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ('#value("summary", study: "other")', 'study "other", which this run does not make'),
        (
            '#value("summary", study: "drugs", cell: "B")',
            "a row of summary by cell, which is no key of it",
        ),
        (
            '#value("perturbation_summary", column: "train_seconds", study: "drugs", dataset: '
            '"blobs", split: "held_out", '
            'condition: "trtmnt", method: "no_change", metric: "r2_mean")',
            "and a value in column train_seconds",
        ),
        ("#nothing", "the template of the paper: unknown variable: nothing (main.typ"),
    ],
)
def test_the_template_can_ask_for_what_the_run_has_only(build, asked, words):
    build.template = build.folder / "template"
    shutil.copytree(TEMPLATE, build.template)
    (build.template / "main.typ").write_text(f'#import "values.typ": value\n{asked}\n')
    with pytest.raises(UserError, match=re.escape(words)):
        build.make()


def test_a_row_of_a_table_goes_by_its_keys(tmp_path):
    write_table(predictions(), tmp_path / "table.tsv", "perturbation_summary", {})
    read = read_summary(tmp_path / "table.tsv", "perturbation_summary")
    assert read["keys"] == [
        "dataset",
        "model",
        "split",
        "condition",
        "cell_type",
        "method",
        "metric",
        "subset",
    ]
    row = read["rows"]["blobs\t\theld_out\ttrtmnt\tmean of types\tno_change\tr2_mean\tall"]
    assert row["sd"] == {"value": 0.012, "text": "0.012"}
    assert (row["n"], row["train_seconds"]) == (5, None)


def test_two_versions_of_a_program_are_both_named(tmp_path):
    tables = []
    for version in ("1.9", "1.10"):
        origin = {"sclatent": "0", "python": "3", "packages": {"scipy": version}}
        write_table(as_kind(pd.DataFrame(), "runs"), tmp_path / version, "runs", origin)
        tables.append(str(tmp_path / version))
    assert software(tables, [])["versions"] == {
        "Python": "3",
        "sclatent": "0",
        "scipy": "1.10, 1.9",
    }
