"""The floors of a study: PCAs that stand beside its models."""

from sclatent.config.load import Config, complete
from sclatent.config.models import Input, Model

WIDE = 50  # components of the PCA that stands beside all models


def floors(config: Config, study: str) -> tuple[dict[str, str], dict[str, Model]]:
    """Return the floor of each model of a study, by name, and the settings of those floors that are no models of the study.

    The floor of a model is PCA of its width on what it is given; beside those stands PCA of WIDE components.
    """
    models = {name: config.models[name] for name in config.studies[study].models}
    own = {_width_and_input(model): name for name, model in models.items() if model.family == "pca"}
    wide = {(WIDE, *given) for _, *given in map(_width_and_input, models.values())}
    added = {
        key: _pca(*key)
        for key in sorted({*map(_width_and_input, models.values()), *wide} - set(own), key=str)
    }
    names = own | {key: name for key, (name, _) in added.items()}
    found = {
        name: name if model.family == "pca" else names[_width_and_input(model)]
        for name, model in models.items()
    }
    return found, dict(added.values())


def _width_and_input(model: Model) -> tuple:
    """Return what says which PCA is a model's floor; the number of principal components that it is given does not."""
    return model.hyperparameters["latent_dim"], model.input.scale, model.input.max_value


def _pca(width: int, scale: bool, max_value: float | None) -> tuple[str, Model]:
    """Return name and settings of a PCA; a name with a dot, which no model of a user has."""
    given = f"{'z-scores' if scale else ''}{f' to {max_value:g}' if max_value else ''}".strip()
    name = f"floor.pca_{width}{'_scaled' if scale else ''}{f'_{max_value:g}' if max_value else ''}"
    pca = Model(
        title=f"PCA of {width}{f', {given}' if given else ''}",
        family="pca",
        hyperparameters={"latent_dim": width},
        input=Input(scale=scale, max_value=max_value),
    )
    return name, complete(name, pca)
