"""Compute the latents of cells for every seed of one model, and the loss that chooses a seed."""

import numpy as np

from _job import provenance, run
from sclatent.io.by_seed import collect_seeds, with_losses
from sclatent.io.expression import read_values
from sclatent.io.matrices import read_obs, write_matrix
from sclatent.io.records import read_record
from sclatent.training.devices import choose_device, device_name
from sclatent.training.encode import encode, loss_to_choose_by
from sclatent.training.labelled import read_conditions
from sclatent.training.saved import trained_runs


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    device = choose_device(snakemake.config["device"], snakemake.resources.get("gpu", 0))
    counts = any(read_record(path)["n_counts"] for path in files.runs)
    values, obs = read_values(files.data, files.trained_on, counts=counts), read_obs(files.data)
    if params.cells == "held_out":
        values = values.take(np.flatnonzero(~values.training))
        obs = obs.loc[values.cells]
    arrays, losses, failed = {}, {}, {}
    for trained_run in trained_runs(
        params.seeds, files.weights, files.runs, device, params.threads
    ):
        seed, condition = trained_run.seed, None
        if params.condition is not None:
            condition, _ = read_conditions(
                files.data, params.condition, values.cells, tuple(trained_run.record["conditions"])
            )
        result = trained_run.attempt(_latents_and_loss, values, condition)
        if result is None:
            failed[seed] = trained_run.reason
            continue
        latents, losses[seed] = result
        arrays |= {(name, seed): latent for name, latent in latents.items()}
    inputs = {files.data, files.trained_on, *files.weights, *files.runs}
    origin = provenance(snakemake, sorted(inputs), device=device_name(device))
    adata = with_losses(
        collect_seeds(obs, arrays, failed), losses, "all" if values.training.all() else "held_out"
    )
    write_matrix(adata, snakemake.output[0], "latents", origin)


def _latents_and_loss(model, values, condition):
    return encode(model, values, condition), loss_to_choose_by(model, values, condition)


if __name__ == "__main__":
    run(main)
