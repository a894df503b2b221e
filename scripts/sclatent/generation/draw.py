"""Draw cells from a model, for each of its components and conditions."""

from typing import cast

import anndata as ad
import numpy as np
import pandas as pd
import torch
from scipy import sparse

from sclatent.common.vocabulary import ALL, TRAIN, UNNAMED
from sclatent.generation.drawn import Drawn
from sclatent.io.by_seed import arrays_of
from sclatent.training.model_with_input import ModelWithInput

N_DRAWN = 2000  # cells, about, that are drawn from a model


@torch.no_grad()
def draw(
    trained: ModelWithInput,
    label: str | None,
    levels: list[str],
    component_types: list[str | None] | None,
    total: float,
) -> Drawn:
    """Draw about N_DRAWN cells, equally many of each component and condition.

    Parameters
    ----------
    trained
        The model.
    label
        Which label of a cell the model sees as its condition: cell_type, condition or batch; None
        if it sees none.
    levels
        Levels of that label, in the model's order.
    component_types
        Cell type that each component stands for, or None if it stands for none; None for models
        without components. If the model sees cell types, these are used instead.
    total
        Total counts of each cell, if the model draws counts.

    Returns
    -------
    The cells, with the noise of the likelihood, and what is expected of them.
    """
    n_groups = max(len(levels), 1) * (1 if component_types is None else len(component_types))
    generated = trained.model.generate(max(N_DRAWN // n_groups, 1), sample=True)
    values, expected = (
        trained.normalised(x, torch.tensor(total).to(x)).cpu().numpy()
        for x in (generated.x, generated.expected)
    )
    labels = {name: np.full(len(values), ALL) for name in ("cell_type", "condition", "component")}
    if generated.component is not None and component_types is not None:
        component = generated.component.cpu().numpy()
        labels["component"] = component.astype(str)
        labels["cell_type"] = np.array([name or UNNAMED for name in component_types])[component]
    if generated.condition is not None and label in labels:
        labels[label] = np.array(levels)[generated.condition.cpu().numpy()]
    return Drawn(values, expected, **labels)


def tag_components(responsibilities: np.ndarray, labels: pd.Series) -> list[str | None]:
    """Return the cell type that each of K components stands for: the most frequent of its cells.

    Parameters
    ----------
    responsibilities
        Posterior of the components, (n, K). A cell belongs to its most probable component.
    labels
        Cell type of each cell, (n,).

    Returns
    -------
    K cell types; None for a component without cells.
    """
    component = pd.Series(responsibilities.argmax(axis=1))
    most_frequent = (
        labels.reset_index(drop=True)
        .groupby(component)
        .agg(lambda labels_of_component: labels_of_component.value_counts().idxmax())
    )
    return [most_frequent.get(number) for number in range(responsibilities.shape[1])]


def component_types_of_seeds(latents: ad.AnnData, obs: pd.DataFrame) -> dict[int, list[str | None]]:
    """Return the cell type that each component stands for, by seed; empty without components.

    Only training cells name components. If the latents have none, because the study looks at the
    cells held out, these name them.

    Parameters
    ----------
    latents
        File of the kind "latents".
    obs
        cell_type and split of the cells of the data set, by name.
    """
    encoded = obs.loc[latents.obs_names]
    naming = (encoded["split"] == TRAIN).to_numpy()
    if not naming.any():
        naming = np.ones(len(encoded), dtype=bool)
    return {
        seed: tag_components(responsibilities[naming], encoded["cell_type"][naming])
        for (name, seed), responsibilities in arrays_of(latents).items()
        if name == "responsibilities"
    }


def median_total(adata: ad.AnnData) -> float:
    """Return the median total counts of the training cells of a file of the kind "preprocessed".

    Counts are exp(x) - 1 of its values x, which are in units of the normalisation.
    """
    values = cast(sparse.csr_matrix, adata.X)  # as this kind of file has it
    training = (adata.obs["split"] == TRAIN).to_numpy()
    return float(np.median(np.asarray(values[training].expm1().sum(axis=1))))
