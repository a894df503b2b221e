"""Predict treated cells without a network, from the responses of other cell types."""

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut

from sclatent.metrics.principal_components import leading_components

# Strengths of the ridge penalty that are tried, in units of the mean squared length of a profile.
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10)
SHIFT_PCS = 50  # principal components of `pca_shift`, at most


class MeanProfiles(NamedTuple):
    """Mean expression (T, G) of T cell types in the control condition and treated.

    Their difference is the response of each gene in each type. In a latent space of L dimensions
    the profiles are (T, L).
    """

    control: np.ndarray
    treated: np.ndarray


def mean_weights(profile: np.ndarray, known: MeanProfiles) -> np.ndarray:
    """Return equal weights (T,), which sum to 1, for the responses of the T known types."""
    return np.full(len(known.control), 1 / len(known.control))


def nearest_weights(profile: np.ndarray, known: MeanProfiles) -> np.ndarray:
    """Return weight 1 for the type whose control profile is nearest, and 0 for the others, (T,).

    Distances to the profile (G,) are Euclidean.
    """
    distances = np.linalg.norm(known.control - profile, axis=1)
    return (np.arange(len(distances)) == distances.argmin()).astype(float)


def similarity_weights(profile: np.ndarray, known: MeanProfiles) -> np.ndarray:
    """Return weights by which the control profiles of known types make up another profile.

    Parameters
    ----------
    profile
        Mean control profile (G,) of the type whose response is predicted.
    known
        Profiles of the T types whose response is known.

    Returns
    -------
    Weight of each type, (T,); they sum to 1. With fewer than three types they are equal.

    Notes
    -----
    The profile is regressed on those of the types by ridge regression, all less the mean profile of
    the types. The strength of the penalty is the one that predicts the types' own responses best
    from each other, each left out in turn. This is kriging with a linear kernel.
    """
    if len(known.control) < 3:  # with one type left, nothing could be learnt about the strength
        return mean_weights(profile, known)
    errors = np.zeros(len(STRENGTHS))
    for rest, (left_out,) in LeaveOneOut().split(known.control):
        others = MeanProfiles(known.control[rest], known.treated[rest])
        response = known.treated[left_out] - known.control[left_out]
        for i, strength in enumerate(STRENGTHS):
            weights = _ridge_weights(known.control[left_out], others.control, strength)
            errors[i] += np.square(weights @ (others.treated - others.control) - response).sum()
    return _ridge_weights(profile, known.control, STRENGTHS[errors.argmin()])


WEIGHTS: dict[str, Callable[[np.ndarray, MeanProfiles], np.ndarray]] = {
    "mean": mean_weights,
    "nearest": nearest_weights,
    "similarity": similarity_weights,
}


def _ridge_weights(profile: np.ndarray, profiles: np.ndarray, strength: float) -> np.ndarray:
    centre = profiles.mean(axis=0)
    centred = profiles - centre
    penalty = strength * np.square(centred).sum() / len(centred)
    if not penalty:  # the profiles are all alike
        return np.full(len(centred), 1 / len(centred))
    model = Ridge(alpha=penalty, fit_intercept=False).fit(centred.T, profile - centre)
    return 1 / len(centred) + model.coef_  # coefficients sum to 0, as the centred profiles do


def predict(
    control: np.ndarray,
    known: MeanProfiles,
    training: np.ndarray | sparse.csr_matrix,
    seed: int,
) -> dict[str, np.ndarray]:
    """Predict the treated counterparts of control cells by each method.

    Parameters
    ----------
    control
        Control cells of the type, (n, G).
    known
        Profiles of the types whose response is known.
    training
        Training cells, (N, G), from which pca_shift learns its components.
    seed
        Seed of the principal components.

    Returns
    -------
    Predicted cells (n, G), float32, by method:

    - no_change: the control cells.
    - mean_shift, nearest_shift, similarity_shift: the control cells, moved by the responses of the
      known types, weighted equally, by the nearest type, or by similarity.
    - pca_shift: the control cells as the leading principal components of the training cells
      represent them, moved by the mean response there. This is a linear autoencoder with
      arithmetic in its latent space.
    """
    profile, response = control.mean(axis=0), known.treated - known.control
    predicted = {"no_change": control}
    for name, weights in WEIGHTS.items():
        shift = weights(profile, known) @ response
        predicted[f"{name}_shift"] = control + shift.astype(np.float32)
    shape = cast(tuple[int, int], training.shape)  # SciPy's type of it allows None
    pca = leading_components(shape, SHIFT_PCS, seed).fit(training)
    axes = np.asarray(pca.components_)
    moved = pca.transform(control) + response.mean(axis=0) @ axes.T
    return predicted | {"pca_shift": pca.inverse_transform(moved).astype(np.float32)}
