"""Trained models on disk: safetensors for the weights, JSON for what rebuilds the model; nothing is ever unpickled."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load, save

from sclatent.common.errors import UserError
from sclatent.io.atomic import replacing, whole, write_text
from sclatent.io.provenance import as_text
from sclatent.io.records import read_record
from sclatent.training.inputs import Input
from sclatent.training.model_with_input import Trained


def save_run(
    trained: Trained | None, weights: Path, run: Path, settings: dict, reason: str, provenance: dict
) -> None:
    """Write the weights of a run and its record; a failed run has None, a reason, and a file without weights.

    settings: family, hyperparameters, input, n_vars, n_counts and conditions, which rebuild the model, and whatever else the
    record should tell.
    """
    tensors = (
        {}
        if trained is None
        else {name: value.cpu().contiguous() for name, value in trained.state_dict().items()}
    )
    content = save(tensors, metadata={"provenance": as_text(provenance)})
    with replacing(weights) as temporary:
        temporary.write_bytes(content)
    record = {
        "status": "failed" if trained is None else "trained",
        "reason": reason,
        **settings,
        "provenance": provenance,
    }
    record["weights_sha256"] = hashlib.sha256(content).hexdigest()
    write_text(run, json.dumps(record, indent=2, sort_keys=True) + "\n")


def load_trained(weights: str | Path, run: str | Path, device: str = "cpu") -> Trained:
    """Rebuild the trained model of a run, in evaluation mode. Raises UserError where the weights are not those of the record."""
    record = read_record(run)
    with whole(weights, "file of weights"):
        content = Path(weights).read_bytes()
    if hashlib.sha256(content).hexdigest() != record["weights_sha256"]:
        raise UserError(
            f"{weights} does not hold what {run} describes; delete both and run the same command again"
        )
    tensors = load(content)
    model_input = Input(record["n_vars"], **record["input"], genes=tensors.get("input.genes"))
    trained = Trained(
        record["family"],
        record["hyperparameters"],
        model_input,
        record["n_counts"],
        record["conditions"],
    )
    trained.load_state_dict(tensors)
    return trained.to(torch.device(device)).eval()


def read_weights_provenance(weights: str | Path) -> dict:
    """Return the provenance in the header of a weights file."""
    with safe_open(weights, framework="pt") as file:
        return json.loads(file.metadata()["provenance"])
