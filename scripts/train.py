"""Train one model on one data set with one seed."""

import pandas as pd
import torch

from _job import provenance, run
from sclatent.contracts import TABLES
from sclatent.determinism import make_deterministic
from sclatent.devices import choose_device
from sclatent.matrices import read_matrix
from sclatent.tables import write_table
from sclatent.training import train_or_explain
from sclatent.weights import save_run


def main(snakemake):
    data, params, output = snakemake.input.data, snakemake.params, snakemake.output
    seed = int(snakemake.wildcards.seed)
    device = choose_device(snakemake.resources.get("gpu", 0))
    make_deterministic(seed, params.threads)
    x = torch.from_numpy(read_matrix(data).X.toarray()).to(device)
    model, history, reason = train_or_explain(x, params.family, params.hyperparameters, params.training)
    origin = provenance(snakemake, [data], seed, device)
    settings = {
        "family": params.family,
        "hyperparameters": params.hyperparameters,
        "training": params.training,
        "n_vars": x.shape[1],
    }
    save_run(model, output.weights, output.run, settings, reason, origin)
    write_table(pd.DataFrame(history, columns=list(TABLES["history"])), output.history, "history", origin)


if __name__ == "__main__":
    run(main)
