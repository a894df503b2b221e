"""Scores of latents themselves, without clusters, and the floor of every score."""

import anndata as ad
import pandas as pd

from sclatent.common.vocabulary import divided_into
from sclatent.io.by_seed import arrays_of
from sclatent.io.contracts import TABLES
from sclatent.metrics.agreement import silhouette
from sclatent.metrics.mixing import mixing

GROUPS = ("condition", "batch")
LATENTS = ("mean", "w_mean")
METHOD = "latent"
COMPARED = ["seed", "split", "method", "metric", "subset"]


def score_latents(
    latents: ad.AnnData, obs: pd.DataFrame
) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Return how far cell types are apart, and how well conditions and batches are mixed, in the mean latents of every seed.

    latents: of that kind; obs: with cell_type and, where cells have them, condition and batch. The columns are those of the kind
    "scores" that a latent has; beside them what does not apply, with its reason.
    """
    labels = obs["cell_type"].to_numpy()
    groups = {group: obs[group].to_numpy() for group in GROUPS if group in obs}
    rows, missing = (
        [],
        [(f"{group} mixing", f"cells have no {group}") for group in GROUPS if group not in obs],
    )
    if len(set(labels)) == 1:
        missing.append(("clusters", "all cells have one label, with which nothing can disagree"))
    for (latent, seed), points in arrays_of(latents).items():
        if latent not in LATENTS or points.shape[1] == 0:
            continue
        values = {}
        try:
            values["silhouette"] = silhouette(points, labels)
        except ValueError as error:
            missing.append((f"silhouette of {latent}, seed {seed}", str(error)))
        for group, levels in groups.items():
            found, absent = mixing(points, levels, labels)
            values |= {f"{group}_{metric}": value for metric, value in found.items()}
            missing += [
                (f"{group}_{metric} of {latent}, seed {seed}", reason)
                for metric, reason in absent.items()
            ]
        rows += [
            (seed, "all", latent, METHOD, metric, "all", value) for metric, value in values.items()
        ]
    return pd.DataFrame(
        rows, columns=["seed", "split", "latent", "method", "metric", "subset", "value"]
    ), missing


def with_floor(
    scores: pd.DataFrame, floors: dict[str, str], n_components: dict[str, int]
) -> pd.DataFrame:
    """Return scores of models and their floors with the column floor: the score of the floor's mean latent with the same seed.

    floors: the model that is the floor of each model; a floor itself has none. n_components: of each mixture; the floor of its
    components is k-means into as many clusters. Clusters of a map have a floor where that is mapped, too, being a model of the
    study.
    """
    other = {model: floor for model, floor in floors.items() if floor != model}
    divided = {model: divided_into(n) for model, n in n_components.items()}
    scores = scores.assign(
        floor_model=scores["model"].map(lambda model: other.get(model, "")).astype(object),
        floor_method=scores["method"].mask(
            scores["method"] == "components", scores["model"].map(divided)
        ),
    )
    of_floor = scores.loc[scores["latent"] == "mean", ["model", *COMPARED, "value"]]
    of_floor = of_floor.rename(
        columns={"model": "floor_model", "method": "floor_method", "value": "floor"}
    )
    compared = ["floor_method" if name == "method" else name for name in COMPARED]
    scores = scores.drop(columns="floor", errors="ignore").merge(
        of_floor, on=["floor_model", *compared], how="left"
    )
    return scores.reindex(columns=list(TABLES["scores"]))
