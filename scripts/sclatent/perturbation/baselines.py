"""How cells of a type would respond to a treatment, predicted from the responses of other types, without a network."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut

STRENGTHS = (
    0.01,
    0.03,
    0.1,
    0.3,
    1,
    3,
    10,
)  # of the ridge penalty, in units of the mean squared length of a profile
N_PCS = 50


class Responses(NamedTuple):
    """Mean profiles (T, G) of the T types that were seen both in the control condition and treated."""

    control: np.ndarray
    treated: np.ndarray


def mean_weights(profile: np.ndarray, known: Responses) -> np.ndarray:
    """Return the same weight (T,) for the response of every type."""
    return np.full(len(known.control), 1 / len(known.control))


def nearest_weights(profile: np.ndarray, known: Responses) -> np.ndarray:
    """Return all weight (T,) on the type whose control profile is the nearest (Euclidean) to the profile (G,) asked for."""
    distances = np.linalg.norm(known.control - profile, axis=1)
    return (np.arange(len(distances)) == distances.argmin()).astype(float)


def similarity_weights(profile: np.ndarray, known: Responses) -> np.ndarray:
    """Return weights (T,), which sum to 1, by which the known control profiles make up the one (G,) asked for.

    Ridge regression of the profile on those of the types, all less their mean; its strength is the one by which the known types'
    own responses are predicted best from each other, each left out in turn. This is kriging with a linear kernel.
    """
    if len(known.control) < 3:  # from a single one left, nothing can be learnt about strength
        return mean_weights(profile, known)
    errors = np.zeros(len(STRENGTHS))
    for rest, (left_out,) in LeaveOneOut().split(known.control):
        others = Responses(known.control[rest], known.treated[rest])
        response = known.treated[left_out] - known.control[left_out]
        for i, strength in enumerate(STRENGTHS):
            weights = _ridge_weights(known.control[left_out], others.control, strength)
            errors[i] += np.square(weights @ (others.treated - others.control) - response).sum()
    return _ridge_weights(profile, known.control, STRENGTHS[errors.argmin()])


WEIGHTS: dict[str, Callable[[np.ndarray, Responses], np.ndarray]] = {
    "mean": mean_weights,
    "nearest": nearest_weights,
    "similarity": similarity_weights,
}


def _ridge_weights(profile: np.ndarray, profiles: np.ndarray, strength: float) -> np.ndarray:
    centre = profiles.mean(axis=0)
    known = profiles - centre
    penalty = strength * np.square(known).sum() / len(known)
    if not penalty:  # all alike
        return np.full(len(known), 1 / len(known))
    coefficients = Ridge(alpha=penalty, fit_intercept=False).fit(known.T, profile - centre).coef_
    return 1 / len(known) + coefficients  # which sum to 0, as the centred profiles do


def predict(
    control: np.ndarray, known: Responses, training: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """Return the treated cells (n, G) that each predictor expects of control cells (n, G).

    no_change: the control cells. mean_shift, nearest_shift, similarity_shift: moved by the known types' responses, in equal
    shares, of the nearest, or by similarity. pca_shift: what the leading principal components of the training cells (N, G) hold
    of the control cells, moved by the mean response there: a linear autoencoder with arithmetic in its latent space.
    """
    profile, response = control.mean(axis=0), known.treated - known.control
    shifts = {
        f"{name}_shift": weights(profile, known) @ response for name, weights in WEIGHTS.items()
    }
    predicted = {
        "no_change": control,
        **{name: control + shift.astype(np.float32) for name, shift in shifts.items()},
    }
    n_pcs = min(N_PCS, min(training.shape) - 1)
    pca = PCA(n_pcs, svd_solver="arpack", random_state=seed).fit(training)
    moved = pca.transform(control) + response.mean(axis=0) @ pca.components_.T
    return predicted | {"pca_shift": pca.inverse_transform(moved).astype(np.float32)}
