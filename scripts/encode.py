"""Compute the latents of all cells, mean and sample, for every seed of one model on one data set."""

from _job import provenance, run
from sclatent.determinism import make_deterministic
from sclatent.devices import choose_device
from sclatent.errors import TrainingError
from sclatent.latents import encode
from sclatent.matrices import read_matrix, write_matrix
from sclatent.seeds import collect_seeds
from sclatent.weights import load_model, read_record


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    device = choose_device(snakemake.resources.get("gpu", 0))
    adata = read_matrix(files.data)
    arrays, failed = {}, {}
    for seed, weights, record in zip(params.seeds, files.weights, files.runs, strict=True):
        make_deterministic(seed, params.threads)
        if reason := read_record(record)["reason"]:
            failed[seed] = reason
            continue
        try:
            latents = encode(load_model(weights, record, device), adata.X)
            arrays |= {(name, seed): latent for name, latent in latents.items()}
        except TrainingError as error:
            failed[seed] = str(error)
    origin = provenance(snakemake, [files.data, *files.weights, *files.runs], device=device)
    write_matrix(collect_seeds(adata.obs, arrays, failed), snakemake.output[0], "latents", origin)


if __name__ == "__main__":
    run(main)
