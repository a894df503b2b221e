"""Trained models on disk: weights as safetensors, and a JSON record that rebuilds the model.

Nothing is ever unpickled.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import torch
from safetensors.torch import load, save

from sclatent.common.determinism import make_deterministic
from sclatent.common.errors import UserError
from sclatent.io.atomic import replacing, whole, write_text
from sclatent.io.provenance import as_text
from sclatent.io.records import read_record
from sclatent.training.failures import or_reason
from sclatent.training.inputs import Input
from sclatent.training.model_with_input import ModelWithInput

P = ParamSpec("P")
T = TypeVar("T")


def save_run(
    trained: ModelWithInput | None,
    weights: str | Path,
    run: str | Path,
    settings: dict,
    reason: str,
    provenance: dict,
) -> None:
    """Write the weights of a run and its record.

    Parameters
    ----------
    trained
        The model; None if the run failed. The file of weights is then empty.
    weights, run
        Where to write the weights and the record.
    settings
        What rebuilds the model (family, hyperparameters, input, n_vars, n_counts and conditions),
        and what else the record should say.
    reason
        Why the run failed; empty if it did not.
    provenance
        That of both files.
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


def load_trained(weights: str | Path, run: str | Path, device: str = "cpu") -> ModelWithInput:
    """Rebuild the trained model of a run, in evaluation mode.

    Raises
    ------
    UserError
        If a file is missing or damaged, or if the weights are not those of the record.
    """
    record = read_record(run)
    with whole(weights, "file of weights"):
        content = Path(weights).read_bytes()
    if hashlib.sha256(content).hexdigest() != record["weights_sha256"]:
        raise UserError(
            f"{weights} does not hold what {run} describes; delete both and run the same command "
            "again"
        )
    tensors = load(content)
    model_input = Input(record["n_vars"], **record["input"], genes=tensors.get("input.genes"))
    trained = ModelWithInput(
        record["family"],
        record["hyperparameters"],
        model_input,
        record["n_counts"],
        record["conditions"],
    )
    trained.load_state_dict(tensors)
    return trained.to(torch.device(device)).eval()


@dataclass
class TrainedRun:
    """The run of one seed of a model. Results of the model come from `attempt`."""

    seed: int
    weights: str | Path
    run: str | Path
    device: str
    threads: int
    record: dict  # what `save_run` has written to `run`
    reason: str  # why the training or the last attempt failed; empty if it did not

    def attempt(
        self, step: Callable[Concatenate[ModelWithInput, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Load the model, seed all random generators with the run's seed, and compute something.

        Parameters
        ----------
        step
            What to compute. It is called with the model, args and kwargs.

        Returns
        -------
        The result of the step; None, and the reason in `reason`, if the training or the step
        failed. Errors that are not the model's propagate, see `sclatent.training.failures`.
        """
        if self.record["status"] == "failed":
            return None
        trained = load_trained(self.weights, self.run, self.device)
        make_deterministic(self.seed, self.threads)
        result, self.reason = or_reason(lambda: step(trained, *args, **kwargs))
        return result


def trained_runs(
    seeds: Iterable[int],
    weights: Iterable[str | Path],
    runs: Iterable[str | Path],
    device: str,
    threads: int,
) -> Iterator[TrainedRun]:
    """Yield the runs of all seeds of a model, those that failed included.

    Parameters
    ----------
    seeds
        The seeds.
    weights, runs
        The files of weights and the records, in the order of the seeds.
    device
        "cpu" or "cuda".
    threads
        Number of threads.
    """
    for seed, weights_path, run_path in zip(seeds, weights, runs, strict=True):
        record = read_record(run_path)
        yield TrainedRun(seed, weights_path, run_path, device, threads, record, record["reason"])
