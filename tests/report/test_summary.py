"""From measurements to tables: means over seeds with floor, ceiling and rank, headlines, what is
absent, what it took.
"""

import json
import re

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from helpers import job
from scipy import stats
from sklearn.metrics import silhouette_score

import collect
from sclatent.clustering.scores import GROUPS, score_latents, with_floor
from sclatent.io.by_seed import collect_seeds
from sclatent.io.contracts import TABLES
from sclatent.io.matrices import write_matrix
from sclatent.io.tables import absent_table, as_kind, concat_tables, read_table, write_table
from sclatent.metrics.agreement import COUNT_METRICS
from sclatent.metrics.expression import CELL_METRICS, GENE_METRICS
from sclatent.metrics.mixing import mixing
from sclatent.report.benchmarks import read_resources
from sclatent.report.headline import (
    HEADLINES,
    as_html_page,
    as_text_table,
    clustering_headline,
    generation_headline,
    perturbation_headline,
)
from sclatent.report.runs import read_runs
from sclatent.report.summary import (
    IDEAL,
    NOT_RANKED,
    mean_of_groups,
    mean_of_types,
    summarize,
)

SUMMARIES = {
    "scores": "summary",
    "perturbation": "perturbation_summary",
    "generation": "generation_summary",
}
SAME = {
    "scores": {
        "dataset": "d",
        "split": "all",
        "latent": "mean",
        "method": "kmeans_latent",
        "metric": "ari",
        "subset": "all",
    },
    "perturbation": {
        "dataset": "d",
        "split": "held_out",
        "condition": "stim",
        "metric": "pearson_squared_mean",
        "subset": "all",
    },
    "generation": {"dataset": "d", "condition": "stim", "cell_type": "A", "metric": "right_label"},
}
STATUS = {"t": "trained", "f": "failed"}
NO_RESOURCES = read_resources([], [])


def measured(kind, values, floors=None, **other):
    """Measurements of a kind: a list of values by seed for each model, None where a seed has none;
    floors in the same form.
    """
    entries = [
        {
            "model": model,
            "seed": seed if model else None,
            "value": value,
            "floor": floors[model][seed] if floors else None,
        }
        for model, of_model in values.items()
        for seed, value in enumerate(of_model)
        if value is not None
    ]
    return as_kind(pd.DataFrame(entries).assign(**{**SAME[kind], **other}), kind)


def runs_of(dataset="d", **statuses):
    """Runs of models on a data set, a letter a seed: t trained, f failed."""
    rows = [
        (dataset, model, seed, STATUS[s])
        for model, of_model in statuses.items()
        for seed, s in enumerate(of_model)
    ]
    return as_kind(pd.DataFrame(rows, columns=["dataset", "model", "seed", "status"]), "runs")


def predicted(cell_type, method, values, model=None, **other):
    """Measured predictions of held-out treated cells of a type; of a model by seed."""
    table = measured("perturbation", {model: values}, cell_type=cell_type, method=method, **other)
    return table.assign(trained_on=f"d.without_{cell_type}")


def means_of(scores, runs, resources=NO_RESOURCES):
    """The summary of measurements of clusterings, by model."""
    return summarize(scores, runs, resources, "summary").set_index("model")


def test_a_mean_has_its_spread_its_number_and_the_share_of_seeds_that_failed():
    scores = measured("scores", {"a": [0.5, 0.7], "b": [0.9, None]})
    table = means_of(scores, runs_of(a="tt", b="tf", c="ff"))
    assert table["mean"].to_dict() == pytest.approx({"a": 0.6, "b": 0.9, "c": np.nan}, nan_ok=True)
    assert table.loc["a", "sd"] == pytest.approx(np.std([0.5, 0.7], ddof=1))
    assert table.loc[["b", "c"], "sd"].isna().all()
    assert table["n"].to_dict() == {"a": 2, "b": 1, "c": 0}
    assert table["failed_share"].to_dict() == {"a": 0.0, "b": 0.5, "c": 1.0}
    assert table["n_seeds"].to_dict() == {"a": 2, "b": 2, "c": 2}


def test_the_difference_to_the_floor_is_paired_by_seed_with_the_interval_of_student_s_t():
    values, floors = [0.2, 0.5, 0.9, 0.4], [0.1, 0.45, 0.7, 0.38]
    table = means_of(measured("scores", {"a": values}, {"a": floors}), runs_of(a="tttt"))
    expected = stats.ttest_rel(values, floors).confidence_interval(0.95)
    assert table.loc["a", ["ci_low", "ci_high"]].tolist() == pytest.approx(
        [expected.low, expected.high]
    )
    assert table.loc["a", "difference"] == pytest.approx(np.mean(values) - np.mean(floors))
    assert table.loc["a", "floor"] == pytest.approx(np.mean(floors))


def test_a_seed_without_a_floor_has_no_part_in_the_difference():
    table = means_of(
        measured("scores", {"a": [0.2, 0.5, 0.9]}, {"a": [0.1, None, 0.7]}), runs_of(a="ttt")
    )
    expected = stats.ttest_rel([0.2, 0.9], [0.1, 0.7]).confidence_interval(0.95)
    assert table.loc["a", ["ci_low", "ci_high"]].tolist() == pytest.approx(
        [expected.low, expected.high]
    )
    assert table.loc["a", ["difference", "n"]].tolist() == pytest.approx([0.15, 3])
    alone = means_of(measured("scores", {"a": [0.2]}, {"a": [0.1]}), runs_of(a="t"))
    assert alone.loc["a", "difference"] == pytest.approx(0.1)
    assert alone.loc["a", ["ci_low", "ci_high"]].isna().all(), "one seed gives no interval"


@pytest.mark.parametrize(
    ("metric", "means", "ranks"),
    [
        ("ari", [0.2, 0.8, 0.5], [3, 1, 2]),
        ("ari", [0.5, 0.1, 0.5], [1, 3, 1]),
        ("ari", [0.5, None, 0.6], [2, None, 1]),
        ("n_missed", [2, 0, 1], [3, 1, 2]),
        ("n_clusters", [2, 0, 1], [None] * 3),
        ("condition_group_auc", [0.5, 1.0, 0.7], [None] * 3),
        ("batch_mixing_silhouette", [0.5, 1.0, 0.7], [None] * 3),
        ("mse_mean", [0.2, 0.8, 0.5], [1, 3, 2]),
        ("e_distance", [-0.1, 0.05, 0.3], [2, 1, 3]),
        ("two_sample_auc", [0.6, 0.2, 0.55], [2, 3, 1]),
        ("slope_mean", [0.7, 1.1, 1.4], [2, 1, 3]),
        ("pearson_squared_mean", [0.2, 0.8, 0.5], [3, 1, 2]),
    ],
)
def test_the_best_mean_is_the_one_nearest_to_the_ideal_of_its_metric(metric, means, ranks):
    scores = measured(
        "scores", {model: [mean] for model, mean in zip("abc", means, strict=True)}, metric=metric
    )
    table = means_of(
        scores,
        runs_of(
            **{
                model: "f" if mean is None else "t"
                for model, mean in zip("abc", means, strict=True)
            }
        ),
    )
    assert [None if pd.isna(rank) else rank for rank in table["rank"].loc[list("abc")]] == ranks


def test_every_ideal_is_that_of_a_metric_that_is_measured():
    assert set(IDEAL) <= {*GENE_METRICS, *COUNT_METRICS, *CELL_METRICS}


def test_models_are_ranked_on_each_data_set_and_method_by_themselves():
    scores = pd.concat(
        [
            measured("scores", {"a": [0.9], "b": [0.8]}),
            measured("scores", {"a": [0.2], "b": [0.3]}, method="louvain_latent"),
            measured("scores", {"b": [0.1]}, latent="sample"),
            measured("scores", {"a": [0.4], "b": [0.5]}, dataset="e"),
        ]
    )
    runs = pd.concat([runs_of(a="t", b="t"), runs_of("e", a="t", b="t")])
    table = summarize(scores, runs, NO_RESOURCES, "summary").set_index(
        ["dataset", "latent", "method", "model"]
    )["rank"]
    assert table.loc["d", "mean", "kmeans_latent"].to_dict() == {"a": 1, "b": 2}
    assert table.loc["d", "mean", "louvain_latent"].to_dict() == {"a": 2, "b": 1}
    assert table.loc["d", "sample", "kmeans_latent"].to_dict() == {"b": 1}
    assert table.loc["e", "mean", "kmeans_latent"].to_dict() == {"a": 2, "b": 1}


def test_predictors_are_ranked_with_those_without_a_model_but_not_with_half_of_the_cells():
    scores = pd.concat(
        [
            predicted("A", "no_change", [0.5]),
            predicted("A", "mean_shift", [0.8]),
            predicted("A", "real_cells", [0.99]),
            predicted("A", "flip_z", [0.9, 0.8], "m"),
            predicted("A", "flip_w", [0.4, 0.2], "m"),
        ]
    )
    table = summarize(
        scores, runs_of("d.without_A", m="tt"), NO_RESOURCES, "perturbation_summary"
    ).set_index("method")
    ranks = table["rank"].dropna().to_dict()
    assert ranks == {"flip_z": 1, "mean_shift": 2, "no_change": 3, "flip_w": 4}
    assert table["n"].to_dict() == {
        "no_change": 1,
        "mean_shift": 1,
        "real_cells": 1,
        "flip_z": 2,
        "flip_w": 2,
    }
    assert (table["failed_share"] == 0).all()
    assert table["model"].isna().sum() == 3


def test_a_model_of_which_every_seed_failed_keeps_the_rows_of_mean_latents_without_a_mean():
    scores = pd.concat(
        [
            measured("scores", {"a": [0.9, 0.8]}),
            measured("scores", {"a": [0.7, 0.6]}, latent="sample"),
            measured("scores", {"a": [0.2, 0.3]}, metric="nmi_geometric"),
            measured("scores", {"a": [0.2, 0.3], "lost": [0.1, 0.2]}, dataset="e"),
        ]
    )
    runs = pd.concat([runs_of(a="tt", lost="ff"), runs_of("e", a="tt", lost="tt")])
    table = (
        summarize(scores, runs, NO_RESOURCES, "summary")
        .set_index(["dataset", "model"])
        .sort_index()
    )
    lost = table.loc["d", "lost"]
    assert lost[["latent", "metric"]].to_numpy().tolist() == [
        ["mean", "ari"],
        ["mean", "nmi_geometric"],
    ]
    assert (lost["failed_share"] == 1).all()
    assert (lost["n"] == 0).all()
    assert lost[["mean", "sd", "floor", "difference", "ceiling", "rank"]].isna().all(axis=None)
    assert table.loc[("e", "lost"), "failed_share"].tolist() == [0]


def types_with_failures(of_a, of_b):
    """The summary of predictions of the types A and B by a model whose seeds failed as the letters
    say.
    """
    tables = [
        predicted(cell_type, method, [value])
        for cell_type in "AB"
        for method, value in BASELINES.items()
    ]
    for cell_type, statuses in (("A", of_a), ("B", of_b)):
        values = [0.8 if status == "t" else None for status in statuses]
        if "t" in statuses:
            tables.append(predicted(cell_type, "flip", values, "m"))
    runs = pd.concat([runs_of("d.without_A", m=of_a), runs_of("d.without_B", m=of_b)])
    return summarize(mean_of_types(pd.concat(tables)), runs, NO_RESOURCES, "perturbation_summary")


BASELINES = {"no_change": 0.6, "real_cells": 0.95}
OF_MODEL = ["cell_type", "method", "n", "failed_share"]


def test_predictions_by_a_model_of_which_every_seed_failed_are_said_to_have_failed():
    table = types_with_failures("ff", "ff")
    lost = table[table["model"] == "m"]
    found = sorted(lost[OF_MODEL].to_numpy().tolist())
    assert found == [
        [cell_type, "every seed failed", 0, 1.0] for cell_type in ("A", "B", "mean of types")
    ]
    assert lost[["mean", "rank", "difference"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("of_a", "of_b", "lost", "kept"), [("ff", "tt", "A", "B"), ("tt", "ff", "B", "A")]
)
def test_a_model_that_failed_without_one_type_has_no_mean_of_types_and_is_not_dropped_in_silence(
    of_a, of_b, lost, kept
):
    table = types_with_failures(of_a, of_b)
    found = sorted(table.loc[table["model"] == "m", OF_MODEL].to_numpy().tolist())
    expected = [
        [lost, "every seed failed", 0, 1.0],
        [kept, "flip", 2, 0.0],
        ["mean of types", "every seed failed", 0, 1.0],
    ]
    assert found == sorted(expected)


def test_a_model_of_which_every_seed_lacks_another_type_is_not_dropped_in_silence():
    table = types_with_failures("tf", "ft")
    found = table.loc[table["model"] == "m", OF_MODEL].to_numpy().tolist()
    assert found == [
        ["A", "flip", 1, 0.5],
        ["B", "flip", 1, 0.5],
        ["mean of types", "every seed failed", 0, 1.0],
    ]


def test_the_mean_of_types_counts_the_seeds_that_lack_one_as_failed():
    table = types_with_failures("ttt", "tft")
    found = table[table["model"] == "m"][OF_MODEL].to_numpy().tolist()
    third = pytest.approx(1 / 3)
    assert found == [
        ["A", "flip", 3, 0.0],
        ["B", "flip", 2, third],
        ["mean of types", "flip", 2, third],
    ]


def test_seconds_are_the_mean_and_memory_is_the_largest_of_the_trainings_alone():
    rows = [
        ("train", "d", "a", 0, 2.0, 300.0),
        ("train", "d", "a", 1, 4.0, 100.0),
        ("train", "d", "b", 0, 9.0, np.nan),
        ("train", "d", "b", 1, 7.0, np.nan),
        ("train", "e", "a", 0, 50.0, 900.0),
        ("encode", "d", "a", None, 90.0, 999.0),
    ]
    resources = as_kind(pd.DataFrame(rows, columns=list(TABLES["resources"])), "resources")
    table = means_of(measured("scores", {"a": [0.5, 0.5]}), runs_of(a="tt", b="ff"), resources)
    assert table.loc["a", ["train_seconds", "train_memory"]].tolist() == [3, 300]
    assert table.loc["b", "train_seconds"] == 8, "what failed took time, too"
    assert np.isnan(table.loc["b", "train_memory"])
    scores = pd.concat([predicted("A", "no_change", [0.5]), predicted("A", "flip", [0.9], "m")])
    resources = resources.assign(dataset="d.without_A", model="m")
    table = summarize(
        scores, runs_of("d.without_A", m="t"), resources, "perturbation_summary"
    ).set_index("method")
    assert table["train_seconds"].isna().to_dict() == {"no_change": True, "flip": False}


@pytest.mark.parametrize("kind", SUMMARIES)
def test_an_evaluation_that_a_study_does_not_make_has_an_empty_table(kind, tmp_path):
    scores = concat_tables([], kind)
    for with_means in (mean_of_types, mean_of_groups):
        assert with_means(scores).empty
    table = summarize(scores, runs_of(a="tf"), NO_RESOURCES, SUMMARIES[kind])
    write_table(table, tmp_path / "x.tsv", SUMMARIES[kind], {})
    assert read_table(tmp_path / "x.tsv", SUMMARIES[kind]).shape == (
        0,
        len(TABLES[SUMMARIES[kind]]),
    )


@pytest.mark.parametrize("kind", SUMMARIES)
def test_every_summary_keeps_its_contract(kind, tmp_path):
    other = {"cell_type": "A", "method": "flip"} if kind == "perturbation" else {}
    scores = measured(
        kind, {"a": [0.5, 0.6], "b": [0.1, None]}, {"a": [0.1, 0.2], "b": [0.1, None]}, **other
    )
    table = summarize(scores, runs_of(a="tt", b="tf", c="ff"), NO_RESOURCES, SUMMARIES[kind])
    write_table(table, tmp_path / "x.tsv", SUMMARIES[kind], {})
    assert list(read_table(tmp_path / "x.tsv", SUMMARIES[kind])["model"]) == ["a", "b", "c"]


def test_means_of_types_are_of_measurements_that_every_type_has():
    scores = pd.concat(
        [
            predicted("A", "flip", [0.2, 0.4], "m"),
            predicted("B", "flip", [0.6, None], "m"),
            predicted("A", "flip", [5.0], "m", metric="mse_mean"),
            predicted("A", "no_change", [0.1]).assign(floor=0.1, ceiling=0.8),
            predicted("B", "no_change", [0.3]).assign(floor=0.3, ceiling=1.0),
            predicted("A", "flip", [0.7], "m", split="in_sample"),
            predicted("A", "flip", [0.9], "m", condition="other"),
        ]
    )
    table = mean_of_types(scores)
    pd.testing.assert_frame_equal(table.iloc[: len(scores)], scores.reset_index(drop=True))
    means = table.iloc[len(scores) :]
    assert (means["cell_type"] == "mean of types").all()
    found = (
        means[["split", "condition", "method", "seed", "metric", "value"]]
        .fillna({"seed": -1})
        .to_numpy()
        .tolist()
    )
    assert found == [
        ["held_out", "stim", "flip", 0, "pearson_squared_mean", pytest.approx(0.4)],
        ["held_out", "stim", "no_change", -1, "pearson_squared_mean", pytest.approx(0.2)],
        ["in_sample", "stim", "flip", 0, "pearson_squared_mean", 0.7],
        ["held_out", "other", "flip", 0, "pearson_squared_mean", 0.9],
    ]
    assert means.iloc[1][["floor", "ceiling"]].tolist() == pytest.approx([0.2, 0.9])


def test_means_of_groups_are_over_what_a_seed_has_drawn():
    scores = pd.concat(
        [
            measured("generation", {"a": [0.2, 0.5]}, {"a": [0.1, 0.2]}),
            measured(
                "generation",
                {"a": [0.6, None], "b": [0.9]},
                {"a": [0.3, None], "b": [0.7]},
                cell_type="B",
            ),
        ]
    )
    table = mean_of_groups(scores)
    pd.testing.assert_frame_equal(table.iloc[: len(scores)], scores.reset_index(drop=True))
    means = table.iloc[len(scores) :]
    assert means[["model", "seed", "value", "floor"]].to_numpy().tolist() == [
        ["a", 0, pytest.approx(0.4), pytest.approx(0.2)],
        ["a", 1, 0.5, 0.2],
        ["b", 0, 0.9, 0.7],
    ]
    assert means[["condition", "cell_type"]].drop_duplicates().to_numpy().tolist() == [
        ["all", "mean of groups"]
    ]


@pytest.fixture
def clustered():
    """The summary of two metrics for two models, one of which failed once, a third that failed
    always, and their floor.
    """
    values = {"a": [0.5, 0.7, 0.9], "b": [0.5, None, None], "pca": [0.4, 0.4, 0.4]}
    floors = {"a": [0.4] * 3, "b": [0.4] * 3, "pca": [None] * 3}
    tables = [
        measured("scores", values, floors, metric=metric).assign(ceiling=1.0)
        for metric in ("nmi_geometric", "ari")
    ]
    tables += [
        measured("scores", values, latent="sample"),
        measured("scores", values, split="train"),
    ]
    tables.append(measured("scores", values, metric="recall", subset="B"))
    return summarize(
        pd.concat(tables), runs_of(a="ttt", b="tff", pca="ttt", lost="fff"), NO_RESOURCES, "summary"
    )


def test_the_headline_of_clusters_shows_spread_floor_difference_and_failures(clustered):
    titles = {"a": "A", "b": "B", "pca": "PCA", "lost": "Lost"}
    table = clustering_headline(clustered, {"d": "Data"}, titles)
    assert list(table["model"]) == ["A", "B", "PCA", "Lost"]
    assert set(table["data set"]) == {"Data"}
    low, high = stats.ttest_rel([0.5, 0.7, 0.9], [0.4] * 3).confidence_interval(0.95)
    for title in ("NMI", "ARI"):
        assert list(table[title]) == ["0.700 ± 0.200", "0.500", "0.400 ± 0.000", "–"]
        assert list(table[f"{title} floor"]) == ["0.400", "0.400", "–", "–"]
        assert list(table[f"{title} difference"]) == [
            f"+0.300 [{low:+.3f}, {high:+.3f}]",
            "+0.100",
            "–",
            "–",
        ]
    assert list(table["ceiling"]) == ["1.000", "1.000", "1.000", "–"]
    assert list(table["n"]) == ["3", "1", "3", "0"]
    assert list(table["failed"]) == ["0 of 3", "2 of 3", "0 of 3", "3 of 3"]
    with_other = clustering_headline(clustered, {"e": "One label", "d": "Data"}, titles)
    assert (with_other.iloc[:4, 2:] == "–").all(axis=None)
    pd.testing.assert_frame_equal(with_other.iloc[4:].reset_index(drop=True), table)


def test_the_headline_of_predictions_shows_the_best_first_and_marks_floor_and_ceiling():
    bounds = {"floor": 0.6, "ceiling": 0.95}
    tables = [
        predicted(cell_type, method, [value])
        for cell_type in "AB"
        for method, value in BASELINES.items()
    ]
    tables += [predicted(cell_type, "flip", [0.8, None], "m") for cell_type in "AB"]
    tables += [
        predicted(cell_type, "flip", [4.0, None], "m", metric="e_distance") for cell_type in "AB"
    ]
    tables += [predicted("A", "flip", [0.3, None], "m", subset="top_100")]  # type B lacks it
    runs = pd.concat([runs_of(f"d.without_{cell_type}", m="tf", lost="ff") for cell_type in "AB"])
    summary = summarize(
        mean_of_types(pd.concat(tables).assign(**bounds)),
        runs,
        NO_RESOURCES,
        "perturbation_summary",
    )
    table = perturbation_headline(summary, {"d": "Data"}, {"m": "M", "lost": "Lost"})
    assert list(table["predictor"]) == [
        "real_cells (ceiling)",
        "M: flip",
        "no_change (floor)",
        "Lost: every seed failed",
    ]
    assert list(table["R² of means"]) == ["0.950", "0.800", "0.600", "–"]
    assert list(table["E-distance"]) == ["–", "4.000", "–", "–"]
    assert set(table["R², top 100"]) == {"–"}
    assert list(table["R² floor"]) == ["0.600"] * 3 + ["–"]
    assert list(table["R² ceiling"]) == ["0.950"] * 3 + ["–"]
    assert list(table["failed"]) == ["0 of 1", "1 of 2", "0 of 1", "2 of 2"]
    assert set(table["split"]) == {"held_out, stim"}


def test_the_headline_of_drawn_cells_shows_floor_and_ceiling_of_each_metric():
    values = {"a": [0.9, 0.7], "b": [0.5, None]}
    tables = [
        measured("generation", values, cell_type=cell_type).assign(floor=0.2, ceiling=0.95)
        for cell_type in "AB"
    ]
    tables.append(
        measured("generation", {"a": [0.6, 0.6]}, metric="two_sample_auc").assign(ceiling=0.5)
    )
    summary = summarize(
        mean_of_groups(pd.concat(tables)),
        runs_of(a="tt", b="tf"),
        NO_RESOURCES,
        "generation_summary",
    )
    table = generation_headline(summary, {"d": "Data"}, {"a": "A", "b": "B"})
    assert list(table["right label"]) == ["0.800 ± 0.141", "0.500"]
    assert list(table["right label floor"]) == ["0.200"] * 2
    assert list(table["two-sample AUC"]) == ["0.600 ± 0.000", "–"]
    assert list(table["two-sample AUC ceiling"]) == ["0.500", "–"]
    assert not {"two-sample AUC floor", "MMD", "types drawn"} & set(
        table.columns
    )  # no model has any
    assert list(table["failed"]) == ["0 of 2", "1 of 2"]


def test_a_text_table_is_aligned_under_its_header():
    table = pd.DataFrame({"model": ["A", "a long name"], "mean ± sd": ["0.100 ± 0.200", "–"]})
    assert as_text_table(table).splitlines() == [
        "model        mean ± sd",
        "───────────  ─────────────",
        "A            0.100 ± 0.200",
        "a long name  –",
    ]


def test_names_are_shown_in_a_page_and_are_no_markup():
    name = "<script> & " + 60 * "x"  # more than pandas would show of a text of its own accord
    page = as_html_page(
        {"<b>caption": pd.DataFrame({"model": [name]}), "other": pd.DataFrame({"n": ["1"]})},
        "R & D",
        "origin",
    )
    assert "<td>&lt;script&gt; &amp; " + 60 * "x" + "</td>" in page
    assert "<h2>&lt;b&gt;caption</h2>" in page
    assert "<h2>other</h2>" in page
    assert "<title>R &amp; D</title>" in page
    assert "<!-- origin -->" in page


@pytest.fixture
def latents_file(tmp_path):
    """A file of the kind "latents" with the seeds 0 and 2; seed 1 failed."""
    obs = pd.DataFrame({"cell_type": pd.Categorical(list("abab"))}, index=list("wxyz"))
    values = {("mean", seed): np.zeros((4, 2), np.float32) for seed in (0, 2)}
    write_matrix(
        collect_seeds(obs, values, {1: "the loss is nan"}), tmp_path / "latents.h5ad", "latents", {}
    )
    return str(tmp_path / "latents.h5ad")


def record_of_run(folder, run, status="trained", reason=""):
    """The path of the record of a run, which is named "<data set>/<model>/<seed>"."""
    path = folder / "runs" / run / "run.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"status": status, "reason": reason}))
    return str(path)


def test_runs_are_those_of_latents_and_of_records_each_once(latents_file, tmp_path):
    records = {
        ("d", "m", 0): record_of_run(tmp_path, "a"),
        ("d.without_A", "m", 0): record_of_run(tmp_path, "b"),
        ("d.without_A", "m", 1): record_of_run(tmp_path, "c", "failed", "the loss is inf"),
    }
    encoded = [{"dataset": "d", "model": "m", "seeds": [0, 1, 2]}]
    table = read_runs(encoded, [latents_file], list(records), list(records.values()))
    assert table.to_numpy().tolist() == [
        ["d", "m", 0, "trained", None],
        ["d", "m", 1, "failed", "the loss is nan"],
        ["d", "m", 2, "trained", None],
        ["d.without_A", "m", 0, "trained", None],
        ["d.without_A", "m", 1, "failed", "the loss is inf"],
    ]
    write_table(table, tmp_path / "runs.tsv", "runs", {})


def benchmark_of(folder, job, memory="20.5"):
    """The path of the benchmark file of a job."""
    path = folder / "results" / "benchmarks" / f"{job}.tsv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\n1.5\t0:00:01\t{memory}\n")
    return str(path)


def test_resources_are_read_from_benchmark_files(tmp_path):
    jobs = [
        ("train", "digits", "ae", 0),
        ("train", "blobs.without_class_0", "cvae", 12),
        ("encode", "digits", "floor.pca_50_scaled_2.5", None),
        ("score", "digits", None, None),
        ("perturb", "blobs.without_class_0", "cvae", None),
        ("generate", "digits", "ae", None),
    ]
    benchmarks = [
        benchmark_of(tmp_path, str(i), "-" if job[0] == "score" else "20.5")
        for i, job in enumerate(jobs)
    ]
    table = read_resources(jobs, benchmarks)
    write_table(table, tmp_path / "resources.tsv", "resources", {})
    table = read_table(tmp_path / "resources.tsv", "resources")
    names = [
        tuple(None if pd.isna(name) else name for name in row)
        for row in table.iloc[:, :4].itertuples(index=False)
    ]
    assert names == jobs
    assert list(table["seconds"]) == [1.5] * 6
    assert list(table["peak_memory"].fillna(-1)) == [20.5, 20.5, 20.5, -1, 20.5, 20.5]


def test_the_floor_of_a_score_is_that_of_the_floor_s_mean_latent_with_the_same_seed():
    floors = {"m": "pca", "other": "floor.pca_9", "pca": "pca"}
    scores = pd.concat(
        [
            measured(
                "scores",
                {
                    "m": [0.5, 0.6],
                    "other": [0.7, 0.8],
                    "pca": [0.1, 0.2],
                    "floor.pca_9": [0.3, None],
                },
            ),
            measured("scores", {"m": [0.5, 0.6], "pca": [0.01, 0.02]}, latent="sample"),
            measured("scores", {"m": [0.5], "pca": [0.11]}, split="held_out"),
            measured("scores", {"m": [0.5], "pca": [0.12]}, method="louvain_latent"),
            measured("scores", {"m": [0.5], "pca": [0.13]}, metric="homogeneity"),
            measured("scores", {"m": [0.5], "pca": [0.14]}, metric="recall", subset="B"),
            measured("scores", {"m": [0.5], "pca": [0.16]}, metric="recall", subset="A"),
            measured("scores", {"m": [0.5]}, method="components"),
            measured("scores", {"pca": [0.17]}, method="kmeans_21"),
            measured("scores", {"pca": [0.18]}, method="kmeans_9"),
            measured("scores", {"m": [0.5], "pca": [0.15], "other": [0.5]}, method="kmeans_tsne"),
        ]
    ).reset_index(drop=True)
    table = with_floor(scores, floors, {"m": 21})
    pd.testing.assert_frame_equal(table.drop(columns="floor"), scores.drop(columns="floor"))
    by_model = table.groupby("model")["floor"].agg(list)
    assert by_model["m"] == pytest.approx(
        [0.1, 0.2, 0.1, 0.2, 0.11, 0.12, 0.13, 0.14, 0.16, 0.17, 0.15]
    )
    assert by_model["other"] == pytest.approx([0.3, np.nan, np.nan], nan_ok=True)
    assert table.loc[table["model"].isin(["pca", "floor.pca_9"]), "floor"].isna().all()


@pytest.fixture
def cells():
    """Forty cells of two types and, crossed with them, of two conditions."""
    obs = pd.DataFrame(
        {"cell_type": list("ab") * 20, "condition": ["ctrl", "ctrl", "stim", "stim"] * 10}
    )
    return obs.apply(pd.Categorical).set_index(pd.Index([f"cell_{i}" for i in range(40)]))


def latents_of(obs, **arrays):
    """An AnnData of the kind "latents" whose arrays have the names given."""
    return ad.AnnData(obs=obs[["cell_type"]], obsm=arrays)


def test_latents_are_scored_as_they_are_by_the_metrics_of_points(cells):
    points = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    arrays = {
        "mean_seed_4": points,
        "sample_seed_4": points,
        "responsibilities_seed_4": points,
        "w_mean_seed_4": points[:, :1],
    }
    table, missing = score_latents(latents_of(cells, **arrays), cells)
    values = table.set_index(["latent", "metric"])["value"]
    for latent, found in (("mean", points), ("w_mean", points[:, :1])):
        mixed, _ = mixing(found, cells["condition"].to_numpy(), cells["cell_type"].to_numpy())
        expected = {"silhouette": silhouette_score(found, cells["cell_type"])}
        expected |= {f"condition_{metric}": value for metric, value in mixed.items()}
        assert values[latent].to_dict() == pytest.approx(expected)
        assert len(expected) == 4
    assert set(table["latent"]) == {"mean", "w_mean"}
    assert table[["seed", "split", "method", "subset"]].drop_duplicates().to_numpy().tolist() == [
        [4, "all", "latent", "all"]
    ]
    assert missing == [("batch mixing", "cells have no batch")]
    found = {metric.removeprefix("condition_") for metric in table["metric"]} - {"silhouette"}
    assert {f"{group}_{metric}" for group in GROUPS for metric in found} | {
        "n_clusters"
    } == NOT_RANKED


def test_a_latent_without_dimensions_has_no_scores(cells):
    points = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    table, missing = score_latents(
        latents_of(cells, mean_seed_0=points, w_mean_seed_0=points[:, :0]), cells
    )
    assert set(table["latent"]) == {"mean"}
    assert not any("w_mean" in what for what, _ in missing)


def test_what_a_latent_cannot_say_has_its_reason(cells):
    points = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    cells["batch"] = pd.Categorical(["1"] * 38 + ["2"] * 2)
    table, missing = score_latents(
        latents_of(cells, mean_seed_7=points), cells.drop(columns="condition")
    )
    assert missing == [
        ("condition mixing", "cells have no condition"),
        ("batch_group_auc of mean, seed 7", "a group has fewer than 5 cells"),
    ]
    assert set(table["metric"]) == {"silhouette", "batch_mixing_silhouette", "batch_mixing_entropy"}
    one_type = cells[["cell_type"]].assign(cell_type=pd.Categorical(["a"] * 40))
    table, missing = score_latents(latents_of(one_type, mean_seed_7=points), one_type)
    assert table.empty
    assert [what for what, _ in missing] == [
        "condition mixing",
        "batch mixing",
        "clusters",
        "silhouette of mean, seed 7",
    ]


def test_what_is_absent_is_a_table_of_its_kind(tmp_path):
    tables = [
        absent_table("clustering", "d", [("batch mixing", "cells have no batch")], "m"),
        absent_table("perturbation", "d", [("all", "the loss is nan")], "m", 3),
        absent_table("perturbation", "d", []),
        absent_table("perturbation", "d", [("B: top_20", "there are 16 genes")]),
    ]
    write_table(
        as_kind(concat_tables(tables, "absent"), "absent"), tmp_path / "absent.tsv", "absent", {}
    )
    table = read_table(tmp_path / "absent.tsv", "absent")
    assert table["model"].fillna("every").tolist() == ["m", "m", "every"]
    assert table["seed"].isna().tolist() == [True, False, True]
    assert table["seed"][1] == 3
    assert table["reason"].tolist() == [
        "cells have no batch",
        "the loss is nan",
        "there are 16 genes",
    ]


def written(table, path, kind):
    """The path of a table that is written there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_table(as_kind(table, kind), path, kind, {})
    return str(path)


def collected(folder, files, **params):
    """What the script makes of a study: its tables by kind, the lines of the headline, the page."""
    kinds = [
        "scores",
        "perturbation",
        "generation",
        "absent",
        "runs",
        *SUMMARIES.values(),
        "resources",
    ]
    output = {name: folder / f"{name}.out" for name in [*kinds, "headline", "page"]}
    nothing = {
        "scores": [],
        "latents": [],
        "runs": [],
        "perturbation": [],
        "generation": [],
        "absent": [],
        "benchmarks": [],
    }
    params = {
        "encoded": [],
        "runs": [],
        "predicted": [],
        "generated": [],
        "jobs": [],
        "no_prior": [],
        "title": "Study",
        "datasets": {"d": "Data"},
        **params,
    }
    collect.main(job("collect", {**nothing, **files}, output, params, {"study": "s"}))
    tables = {kind: read_table(output[kind], kind) for kind in kinds}
    return tables, output["headline"].read_text().splitlines(), output["page"].read_text()


CAPTIONS = {headline.kind: headline.caption for headline in HEADLINES}


def test_a_study_of_clusters_and_drawn_cells_is_collected(latents_file, tmp_path):
    """Of a VAE, of an autoencoder, from which no cells can be drawn, and of a floor of which every
    seed failed.
    """
    values = {"vae": [0.5, None, 0.7], "ae": [0.4, None, 0.6]}
    scores = pd.concat(
        [measured("scores", values, metric=metric) for metric in ("nmi_geometric", "ari")]
    )
    drawn = measured("generation", {"vae": [0.5, None, 0.7]})
    absent = absent_table("clustering", "d", [("batch mixing", "cells have no batch")], "vae")
    cells = pd.DataFrame({"cell_type": pd.Categorical(list("abab"))}, index=list("wxyz"))
    failed = tmp_path / "failed.h5ad"
    write_matrix(
        collect_seeds(cells, {}, dict.fromkeys(range(3), "50 components")), failed, "latents", {}
    )
    models = {"vae": "VAE", "ae": "AE", "floor.pca_50": "PCA of 50"}
    trainings = [("train", "d", model, seed) for model in models for seed in range(3)]
    files = {
        "scores": [written(scores, tmp_path / "d" / "scores.tsv", "scores")],
        "generation": [written(drawn, tmp_path / "d" / "vae" / "generation.tsv", "generation")],
        "absent": [written(absent, tmp_path / "d" / "absent.tsv", "absent")],
        "latents": [latents_file, latents_file, str(failed)],
        "benchmarks": [benchmark_of(tmp_path, "job")] * len(trainings),
    }
    tables, headline, page = collected(
        tmp_path,
        files,
        encoded=[{"dataset": "d", "model": model, "seeds": [0, 1, 2]} for model in models],
        generated=[("d", "vae")],
        jobs=trainings,
        no_prior=[("d", "ae")],
        models=models,
    )
    assert (
        tables["runs"]["status"].tolist() == ["trained", "failed", "trained"] * 2 + ["failed"] * 3
    )
    third = pytest.approx(1 / 3)
    failed_share = tables["summary"].groupby("model")["failed_share"].first().to_dict()
    assert failed_share == {"vae": third, "ae": third, "floor.pca_50": 1}
    generation = tables["generation_summary"].set_index("model")
    assert generation["failed_share"].to_dict() == {"vae": third}, (
        "no cells were to be drawn from the others"
    )
    assert (generation["train_seconds"] == 1.5).all()
    assert tables["absent"]["reason"].tolist() == [
        "cells have no batch",
        "its family has no prior to draw cells from",
    ]
    assert tables["perturbation_summary"].empty
    assert len(tables["resources"]) == 9
    assert json.loads(headline[0].removeprefix("# "))["step"] == "collect"
    shown = [line for line in headline if line in CAPTIONS.values()]
    assert shown == [CAPTIONS["summary"], CAPTIONS["generation_summary"]]
    assert page.count("<h2>") == 2


def test_a_study_of_predictions_is_collected(tmp_path):
    """Of two types held out in turn, by two models; one of them failed without type B."""
    files, predictors, trained = {"perturbation": [], "runs": [], "benchmarks": []}, [], []
    failed = {"d.without_B/good/1", "d.without_B/lost/0", "d.without_B/lost/1"}
    for cell_type, dataset in (("A", "d.without_A"), ("B", "d.without_B")):
        tables = {(dataset, None): predicted(cell_type, "no_change", [0.6])}
        for model in ("good", "lost"):
            runs = [f"{dataset}/{model}/{seed}" for seed in (0, 1)]
            values = [None if run in failed else 0.8 for run in runs]
            tables[dataset, model] = predicted(cell_type, "flip", values, model)
            trained += [(dataset, model, seed) for seed in (0, 1)]
            files["runs"] += [
                record_of_run(tmp_path, run, *["failed", "nan"] * (run in failed)) for run in runs
            ]
            files["benchmarks"] += [benchmark_of(tmp_path, f"train/{run}") for run in runs]
        files["perturbation"] += [
            written(table, tmp_path / f"{dataset}.{model}.tsv", "perturbation")
            for (_, model), table in tables.items()
        ]
        predictors += tables
    tables, headline, _ = collected(
        tmp_path,
        files,
        runs=trained,
        predicted=predictors,
        jobs=[("train", *run) for run in trained],
        models={"good": "Good", "lost": "Lost"},
    )
    over_types = tables["perturbation_summary"].query("cell_type == 'mean of types'")
    found = (
        over_types[["model", "method", "n", "failed_share", "train_seconds"]]
        .fillna("")
        .to_numpy()
        .tolist()
    )
    assert found == [
        ["", "no_change", 1, 0, ""],
        ["good", "flip", 1, 0.5, 1.5],
        ["lost", "every seed failed", 0, 1, 1.5],
    ]
    assert {
        f"{run.dataset}/{run.model}/{run.seed}"
        for run in tables["runs"].itertuples()
        if run.status == "failed"
    } == failed
    assert tables["summary"].empty
    assert [line for line in headline if line in CAPTIONS.values()] == [
        CAPTIONS["perturbation_summary"]
    ]
    assert [re.split(" {2,}", line)[2] for line in headline[5:]] == [
        "Good: flip",
        "no_change (floor)",
        "Lost: every seed failed",
    ]
