"""Compute the latents of all cells, mean and sample, for every seed of one model on one data set."""

from _job import provenance, run
from sclatent.determinism import make_deterministic
from sclatent.devices import choose_device
from sclatent.latents import encode
from sclatent.matrices import read_obs, write_matrix
from sclatent.records import read_record
from sclatent.runs import read_conditions
from sclatent.seeds import collect_seeds
from sclatent.training import or_reason
from sclatent.values import read_values
from sclatent.weights import load_trained


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    device = choose_device(snakemake.config["device"], snakemake.resources.get("gpu", 0))
    values, obs = read_values(files.data, files.trained_on), read_obs(files.data)
    arrays, failed = {}, {}
    for seed, weights, path in zip(params.seeds, files.weights, files.runs, strict=True):
        record = read_record(path)
        if record["status"] == "failed":
            failed[seed] = record["reason"]
            continue
        trained, condition = load_trained(weights, path, device), None
        if params.condition is not None:
            condition, _ = read_conditions(files.data, params.condition, values.cells, tuple(record["conditions"]))
        make_deterministic(seed, params.threads)
        latents, reason = or_reason(lambda trained=trained, condition=condition: encode(trained, values, condition))
        if latents is None:
            failed[seed] = reason
        else:
            arrays |= {(name, seed): latent for name, latent in latents.items()}
    inputs = {files.data, files.trained_on, *files.weights, *files.runs}
    origin = provenance(snakemake, sorted(inputs), device=device)
    write_matrix(collect_seeds(obs, arrays, failed), snakemake.output[0], "latents", origin)


if __name__ == "__main__":
    run(main)
