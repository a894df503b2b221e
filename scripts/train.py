"""Train one model on one data set with one seed."""

import pandas as pd
import torch

from _job import provenance, run
from sclatent.contracts import TABLES
from sclatent.determinism import make_deterministic
from sclatent.devices import choose_device
from sclatent.models import hyperparameters_class, load_family
from sclatent.tables import write_table
from sclatent.training import or_reason, train
from sclatent.values import check_none_held_out, read_values
from sclatent.weights import save_run


def main(snakemake):
    data, params, output = snakemake.input.data, snakemake.params, snakemake.output
    seed = int(snakemake.wildcards.seed)
    device = choose_device(snakemake.resources.get("gpu", 0))
    family = load_family(params.family)
    hyperparameters = hyperparameters_class(params.family).model_validate(params.hyperparameters)
    make_deterministic(seed, params.threads)
    values = read_values(data).for_training()
    check_none_held_out(values.cells, snakemake.input.split)
    x = torch.from_numpy(values.dense()).to(device)

    def build_and_train():
        model = family(x.shape[1], hyperparameters).to(device)
        return model, train(model, x, **params.training)

    trained, reason = or_reason(build_and_train)
    model, history = trained or (None, [])
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
