"""Map the cells that every model draws for one data set among real cells, by UMAP."""

from _job import provenance, run
from sclatent.common.determinism import make_deterministic
from sclatent.common.vocabulary import EVALUATION_SEED
from sclatent.generation.maps import drawn_map
from sclatent.io.matrices import read_matrix, write_matrix


def main(snakemake):
    files, params = snakemake.input, snakemake.params
    drawn = {
        model: read_matrix(path) for model, path in zip(params.models, files.drawn, strict=True)
    }
    make_deterministic(EVALUATION_SEED, params.threads)
    maps = drawn_map(read_matrix(files.data), drawn, params.n_neighbors)
    write_matrix(maps, snakemake.output[0], "drawn_map", provenance(snakemake))


if __name__ == "__main__":
    run(main)
