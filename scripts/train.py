"""Train one model on one data set with one seed."""

from pathlib import Path

import pandas as pd

from _job import provenance, run, terminal
from sclatent.common.determinism import keep_freed_memory, make_deterministic
from sclatent.families.base import explains_counts
from sclatent.io.contracts import TABLES
from sclatent.io.expression import read_genes
from sclatent.io.tables import write_table
from sclatent.training.checkpoints import Checkpoint
from sclatent.training.devices import choose_device, device_name, usable_precision
from sclatent.training.failures import or_reason
from sclatent.training.run import align, read_training_data, train_run, without_held_out
from sclatent.training.saved import save_run

CHECKPOINTS = Path(
    "results/checkpoints"
)  # no declared output, since Snakemake removes those of a job that was killed


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
    training = params.settings["training"]
    settings = {
        **params.settings,
        "training": {**training, "precision": usable_precision(training["precision"], device)},
    }
    told, counts = params.told, explains_counts(params.settings["hyperparameters"])
    guide = {"labels": told["labels"], "clusters": files.get("clusters")}
    own = told["labelled"] == wildcards.dataset
    data = read_training_data(
        files.data, files.split, told["condition"], counts=counts, **guide if own else {}
    )
    labelled = data if own else None
    if files.get("labelled"):
        other = read_training_data(
            files.labelled,
            files.labelled_split,
            told["condition"],
            data.conditions,
            counts,
            **guide,
        )
        other = without_held_out(other, files.split)
        labelled = align(other, read_genes(files.labelled_split), read_genes(files.split))
    inputs = sorted({path for _, path in files.items()})
    state = provenance(snakemake, inputs, seed, device_name(device))["fingerprint"]
    checkpoint = Checkpoint(
        CHECKPOINTS / f"{wildcards.dataset}.{wildcards.model}.{seed}.{state[:16]}.safetensors"
    )
    trained, reason = or_reason(
        lambda: train_run(data, labelled, settings, device, checkpoint, terminal())
    )
    model, history = trained or (None, [])
    origin = provenance(snakemake, inputs, seed, device_name(device))
    record = {
        **settings,
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
