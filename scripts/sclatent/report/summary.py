"""From measurements of single runs to means over seeds, with spread, floor, ceiling, paired
difference to the floor, and rank."""

import pandas as pd
from scipy import stats

from sclatent.common.vocabulary import ALL, OVER_GROUPS, OVER_TYPES, REAL_CELLS
from sclatent.io.contracts import TABLES
from sclatent.io.tables import as_kind

CONFIDENCE = 0.95
# The value of a perfect prediction or clustering, by metric. For all other metrics more is better.
IDEAL = {
    "n_missed": 0,
    "mse_mean": 0,
    "e_distance": 0,
    "mmd": 0,
    "intercept_mean": 0,
    "slope_mean": 1,
    "variance_ratio": 1,
    "two_sample_auc": 0.5,
}
# Metrics whose ideal lies inside their range, so that a difference to the floor has no direction.
IDEAL_INSIDE_RANGE = ["slope_mean", "intercept_mean", "variance_ratio", "two_sample_auc"]
# Metrics that are not ranked: whether more or less is better depends on the question.
NOT_RANKED = {
    "n_clusters",
    *(
        f"{group}_{metric}"
        for group in ("condition", "batch")
        for metric in ("mixing_silhouette", "mixing_entropy", "group_auc")
    ),
}
NO_SEED_LEFT = "every seed failed"  # the method in rows of a model without predictions
# What tells predictions of one data set apart, but for the cell type.
TASK = ["dataset", "split", "condition"]


def keys_of(kind: str) -> list[str]:
    """Return the columns of a table of means that say what is measured, after data set and model.

    Parameters
    ----------
    kind
        "summary", "perturbation_summary" or "generation_summary".
    """
    columns = list(TABLES[kind])
    return columns[columns.index("model") + 1 : columns.index("mean")]


def summarize(
    scores: pd.DataFrame, runs: pd.DataFrame, resources: pd.DataFrame, kind: str
) -> pd.DataFrame:
    """Average measurements over seeds.

    Parameters
    ----------
    scores
        Measurements. The column `trained_on` is the data set of the run; without that column, it is
        `dataset`.
    runs, resources
        Tables of these kinds.
    kind
        The kind to return: "summary", "perturbation_summary" or "generation_summary".

    Returns
    -------
    A table of that kind. If every seed of a model failed, the model has rows without a mean: one
    per measurement that other models of its data set have of their mean latents, or of their
    predicted or generated cells.
    """
    if scores.empty:  # the study does not make this evaluation
        return as_kind(scores, kind)
    keys = ["dataset", "model", *keys_of(kind)]
    difference = (scores["value"] - scores["floor"]).where(
        ~scores["metric"].isin(IDEAL_INSIDE_RANGE)
    )
    trained_on = scores.get("trained_on", scores["dataset"])
    scores = scores.assign(difference=difference, trained_on=trained_on)
    groups = scores.groupby(keys, sort=False, dropna=False)
    columns = {
        "mean": groups["value"].mean(),
        "sd": groups["value"].std(),
        "n": groups["value"].count(),
        "floor": groups["floor"].mean(),
        "difference": groups["difference"].mean(),
        "ceiling": groups["ceiling"].mean(),
    }
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, groups["difference"].count() - 1)
    half_width = quantile * groups["difference"].sem()
    columns["ci_low"] = columns["difference"] - half_width
    columns["ci_high"] = columns["difference"] + half_width
    columns["trained_on"] = groups["trained_on"].first()
    table = _with_runs(pd.DataFrame(columns).reset_index(), keys, runs, resources)
    return as_kind(_ranked(table, keys), kind)


def _with_runs(
    table: pd.DataFrame, keys: list[str], runs: pd.DataFrame, resources: pd.DataFrame
) -> pd.DataFrame:
    """Add to means the rows of failed models, the share of failed seeds, and the cost of training.

    The rows of a predictor without a model have no cost, and no seed of theirs failed.
    """
    per_model = _trainings(runs, resources)
    measured = table.loc[table["latent"] == "mean"] if "latent" in table else table
    measured = measured.loc[:, ["trained_on", *keys]].drop(columns=["model"]).drop_duplicates()
    all_failed = per_model.loc[per_model["failed_share"] == 1, ["trained_on", "model"]]
    lost = all_failed.merge(measured, on="trained_on")
    if "condition" in keys and "method" in keys:  # predictions of treated cells
        lost = pd.concat([lost, _lost_means(table, lost, measured)])
        lost = lost.assign(method=NO_SEED_LEFT).drop_duplicates(keys)
    if len(lost):
        table = pd.concat([table, lost.assign(n=0)], ignore_index=True)
    table = table.merge(per_model, on=["trained_on", "model"], how="left")
    if "cell_type" in table:
        # A mean over types needs a run with each type held out, so the seeds that have none are
        # those that failed. A mean over groups needs a seed whose cells could be generated.
        over = table["cell_type"].isin([OVER_TYPES, OVER_GROUPS]) & table["n_seeds"].notna()
        table.loc[over, "failed_share"] = 1 - table["n"] / table["n_seeds"]
    return table.fillna({"failed_share": 0.0, "n_seeds": table["n"]})


def _trainings(runs: pd.DataFrame, resources: pd.DataFrame) -> pd.DataFrame:
    """Return a row per data set that is trained on and model: share of failed seeds, and cost."""
    failed = runs.assign(failed=runs["status"] == "failed")
    failed = failed.groupby(["dataset", "model"], sort=False)["failed"]
    training = resources[resources["rule"] == "train"].groupby(["dataset", "model"])
    columns = {"failed_share": failed.mean(), "n_seeds": failed.size()}
    table = pd.DataFrame(columns)
    table["train_seconds"] = training["seconds"].mean()
    table["train_memory"] = training["peak_memory"].max()
    return table.rename_axis(["trained_on", "model"]).reset_index()


def _lost_means(table: pd.DataFrame, lost: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Return rows of means over cell types for models without a single such mean.

    If runs fail with one cell type held out, no seed has predictions of every type.
    """
    task = [*TASK, "model"]
    is_mean = table["cell_type"] == OVER_TYPES
    with_mean = pd.MultiIndex.from_frame(table.loc[is_mean, task])
    predicted = pd.concat([table.loc[~is_mean], lost]).dropna(subset=["model"])
    predicted = predicted.drop_duplicates(task).loc[:, ["trained_on", *task]]
    without = predicted.loc[~pd.MultiIndex.from_frame(predicted[task]).isin(with_mean)]
    means = measured.loc[measured["cell_type"] == OVER_TYPES].drop(columns=["trained_on"])
    return without.merge(means, on=TASK)


def _ranked(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Add to means the rank among all models, or predictors, that have the same measurement."""
    competitors = ["model", "method"] if "condition" in keys else ["model"]
    compared = [table[key] for key in keys if key not in competitors]
    ideal = pd.Series(IDEAL, dtype=float).reindex(table["metric"]).set_axis(table.index)
    distance = (table["mean"] - ideal).abs().where(ideal.notna(), -table["mean"])
    is_ranked = ~table["metric"].isin(list(NOT_RANKED))
    if "cell_type" in table:  # models generate different groups of cells
        is_ranked &= table["cell_type"] != OVER_GROUPS
    if "method" in table:
        is_ranked &= table["method"] != REAL_CELLS
    ranks = distance.where(is_ranked).groupby(compared, dropna=False).rank(method="min")
    return table.assign(rank=ranks)


def mean_of_types(scores: pd.DataFrame) -> pd.DataFrame:
    """Add to measurements of predictions their means over cell types.

    A mean is left out if the measurement lacks a type that other predictions of the task have.
    """
    if scores.empty:
        return scores
    averaged = ["value", "floor", "ceiling"]
    dropped = ["cell_type", "resampling_sd", "trained_on", *averaged]
    keys = [name for name in scores.columns if name not in dropped]
    of_types = scores.loc[scores["cell_type"] != ALL]
    groups = of_types.groupby(keys, sort=False, dropna=False)
    means = groups[averaged].mean()
    means = means.assign(trained_on=groups["trained_on"].first(), n_types=groups.size())
    means = means.reset_index().assign(cell_type=OVER_TYPES)
    n_types = of_types.groupby(TASK)["cell_type"].nunique()
    expected = n_types.reindex(pd.MultiIndex.from_frame(means.loc[:, TASK])).to_numpy()
    complete = means.loc[means["n_types"].to_numpy() == expected].drop(columns=["n_types"])
    return pd.concat([scores, complete], ignore_index=True)


def mean_of_groups(scores: pd.DataFrame) -> pd.DataFrame:
    """Add to measurements of generated cells their means over the groups that a seed generated.

    A group is a cell type in a condition.
    """
    if scores.empty:
        return scores
    groups = scores.groupby(["dataset", "model", "seed", "metric"], sort=False)
    means = groups[["value", "floor", "ceiling"]].mean().reset_index()
    means = means.assign(condition=ALL, cell_type=OVER_GROUPS)
    return pd.concat([scores, means], ignore_index=True)
