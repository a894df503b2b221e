"""Train one model on one data set with one seed."""

from pathlib import Path

import pandas as pd

from _job import provenance, run, terminal
from sclatent.common.determinism import make_deterministic
from sclatent.families.base import explains_counts
from sclatent.io.contracts import TABLES
from sclatent.io.tables import write_table
from sclatent.training.checkpoints import Checkpoint
from sclatent.training.devices import choose_device, device_name, usable_precision
from sclatent.training.failures import or_reason
from sclatent.training.labelled import DataFiles, VisibleLabels, read_for_run
from sclatent.training.memory import keep_freed_memory
from sclatent.training.run import RunSettings, train_run
from sclatent.training.saved import save_run

# No declared output: Snakemake would remove it when it removes the outputs of a job that was
# killed, and the training could not resume.
CHECKPOINTS = Path("results/checkpoints")


def main(snakemake):
    files, params, output, wildcards = (
        snakemake.input,
        snakemake.params,
        snakemake.output,
        snakemake.wildcards,
    )
    seed = int(wildcards.seed)
    device = choose_device(snakemake.config["device"], snakemake.resources.get("gpu", 0))
    make_deterministic(seed, params.threads)
    keep_freed_memory()
    settings = RunSettings.model_validate(params.settings)
    precision = usable_precision(settings.training.precision, device)
    training = settings.training.model_copy(update={"precision": precision})
    settings = settings.model_copy(update={"training": training})
    data, labelled = read_for_run(
        DataFiles(**{name: files.get(name) for name in DataFiles._fields}),
        VisibleLabels(**params.told),
        wildcards.dataset,
        explains_counts(settings.hyperparameters),
    )
    inputs = sorted({path for _, path in files.items()})
    state = provenance(snakemake, inputs, seed, device_name(device))["fingerprint"]
    checkpoint = Checkpoint(
        CHECKPOINTS / f"{wildcards.dataset}.{wildcards.model}.{seed}.{state[:16]}.safetensors"
    )
    result, reason = or_reason(
        lambda: train_run(data, labelled, settings, device, checkpoint, terminal())
    )
    model, history = result or (None, [])
    origin = provenance(snakemake, inputs, seed, device_name(device))
    record = {
        **settings.for_record(),
        "n_vars": data.values.n_vars,
        "n_counts": None if model is None else model.n_counts,
        "conditions": data.conditions,
        "classes": () if labelled is None else labelled.classes,
    }
    save_run(model, output.weights, output.run, record, reason, origin)
    write_table(
        pd.DataFrame(history, columns=list(TABLES["history"])), output.history, "history", origin
    )
    checkpoint.remove()


if __name__ == "__main__":
    run(main)
