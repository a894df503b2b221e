"""The floors of a study: PCAs that are scored beside its models."""

from typing import NamedTuple

from sclatent.config.load import Config
from sclatent.config.models import Input, Model

WIDE = 50  # number of components of the PCA that every study has


class FloorKey(NamedTuple):
    """What decides which PCA is the floor of a model.

    The number of principal components in its input does not.
    """

    width: int  # number of latent dimensions
    scale: bool  # whether the input is z-scores
    max_value: float | None  # where the input is clipped


def floors(config: Config, study: str) -> tuple[dict[str, str], dict[str, Model]]:
    """Find the floors of a study: for each model the PCA of its width on the same input.

    Parameters
    ----------
    config : Config
        The whole configuration.
    study : str
        Name of the study.

    Returns
    -------
    floor_of : dict
        Name of the floor of each model. A PCA is its own floor.
    added : dict
        Settings by name of the floors that are not models of the study. Beside the floors of the
        models, these are PCAs of `WIDE` components on the same inputs.
    """
    models = {name: config.models[name] for name in config.studies[study].models}
    own = {_key(model): name for name, model in models.items() if model.family == "pca"}
    keys = {_key(model) for model in models.values()}
    keys |= {key._replace(width=WIDE) for key in keys}
    pcas = {key: _pca(key) for key in sorted(keys - set(own), key=str)}
    names = own | {key: name for key, (name, _) in pcas.items()}
    floor_of = {
        name: name if model.family == "pca" else names[_key(model)]
        for name, model in models.items()
    }
    return floor_of, dict(pcas.values())


def _key(model: Model) -> FloorKey:
    return FloorKey(model.hyperparameters.latent_dim, model.input.scale, model.input.max_value)


def _pca(key: FloorKey) -> tuple[str, Model]:
    """Return name and settings of a PCA. The name has a dot, which no model of a user can have."""
    clipped = "" if key.max_value is None else f"{key.max_value:g}"
    given = f"{'z-scores' if key.scale else ''}{f' to {clipped}' if clipped else ''}".strip()
    name = (
        f"floor.pca_{key.width}{'_scaled' if key.scale else ''}{f'_{clipped}' if clipped else ''}"
    )
    pca = Model.model_validate(
        {
            "title": f"PCA of {key.width}{f', {given}' if given else ''}",
            "family": "pca",
            "hyperparameters": {"latent_dim": key.width},
            "input": Input(scale=key.scale, max_value=key.max_value),
        }
    )
    return name, pca
