"""Compute the latents of cells, mean and sample, and the loss by which a seed is chosen, for every seed of one model."""

import numpy as np

from _job import provenance, run
from sclatent.common.determinism import make_deterministic
from sclatent.io.by_seed import collect_seeds, with_losses
from sclatent.io.expression import read_values
from sclatent.io.matrices import read_obs, write_matrix
from sclatent.io.records import read_record
from sclatent.training.devices import choose_device, device_name
from sclatent.training.encode import encode, loss_to_choose_by
from sclatent.training.failures import or_reason
from sclatent.training.run import read_conditions
from sclatent.training.saved import load_trained


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    device = choose_device(snakemake.config["device"], snakemake.resources.get("gpu", 0))
    records = [read_record(path) for path in files.runs]
    counts = any(record["n_counts"] for record in records)
    values, obs = read_values(files.data, files.trained_on, counts=counts), read_obs(files.data)
    if params.cells == "held_out":
        values = values.take(np.flatnonzero(~values.training))
        obs = obs.loc[values.cells]
    arrays, losses, failed = {}, {}, {}
    for seed, weights, path, record in zip(
        params.seeds, files.weights, files.runs, records, strict=True
    ):
        if record["status"] == "failed":
            failed[seed] = record["reason"]
            continue
        trained, condition = load_trained(weights, path, device), None
        if params.condition is not None:
            condition, _ = read_conditions(
                files.data, params.condition, values.cells, tuple(record["conditions"])
            )
        make_deterministic(seed, params.threads)
        latents, reason = or_reason(
            lambda trained=trained, condition=condition: encode(trained, values, condition)
        )
        if latents is None:
            failed[seed] = reason
        else:
            arrays |= {(name, seed): latent for name, latent in latents.items()}
            losses[seed] = loss_to_choose_by(trained, values, condition)
    inputs = {files.data, files.trained_on, *files.weights, *files.runs}
    origin = provenance(snakemake, sorted(inputs), device=device_name(device))
    adata = with_losses(
        collect_seeds(obs, arrays, failed), losses, "all" if values.training.all() else "held_out"
    )
    write_matrix(adata, snakemake.output[0], "latents", origin)


if __name__ == "__main__":
    run(main)
