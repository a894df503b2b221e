"""Trained models on disk: safetensors for the weights, JSON for what rebuilds the model; nothing is ever unpickled."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from sclatent.atomic import replacing, write_text
from sclatent.errors import UserError
from sclatent.models import hyperparameters_class, load_family
from sclatent.models.base import LatentModel
from sclatent.provenance import as_text


def save_run(model: LatentModel | None, weights: Path, run: Path, settings: dict, reason: str, provenance: dict) -> None:
    """Write the weights of a run and its record; a failed run has model None, a reason, and a file without weights.

    settings: family, hyperparameters and n_vars, which rebuild the model, and training.
    """
    tensors = {} if model is None else {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    with replacing(weights) as temporary:
        save_file(tensors, temporary, metadata={"provenance": as_text(provenance)})
    record = {"status": "failed" if model is None else "trained", "reason": reason, **settings, "provenance": provenance}
    write_text(run, json.dumps(record, indent=2, sort_keys=True) + "\n")


def read_record(run: str | Path) -> dict:
    """Read the record of a run: status, reason, family, hyperparameters, training, n_vars, provenance."""
    return json.loads(Path(run).read_text())


def load_model(weights: str | Path, run: str | Path, device: str = "cpu") -> LatentModel:
    """Rebuild the trained model of a run, in evaluation mode. Raises UserError where the weights are not whole."""
    record = read_record(run)
    hyperparameters = hyperparameters_class(record["family"]).model_validate(record["hyperparameters"])
    model = load_family(record["family"])(record["n_vars"], hyperparameters)
    try:
        model.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{weights} does not hold what {run} describes ({error}); delete both and run again") from error
    return model.to(torch.device(device)).eval()


def read_weights_provenance(weights: str | Path) -> dict:
    """Return the provenance in the header of a weights file."""
    with safe_open(weights, framework="pt") as file:
        return json.loads(file.metadata()["provenance"])
