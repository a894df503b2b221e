"""Filter cells and genes, hold cells out, normalise, choose genes, derive labels where there are none."""

import pandas as pd

from _job import provenance, run
from sclatent.common.determinism import make_deterministic
from sclatent.common.vocabulary import EVALUATION_SEED
from sclatent.data.preprocess import preprocess
from sclatent.io.matrices import read_large_matrix, write_matrix
from sclatent.io.tables import write_table


def main(snakemake):
    counts, params, output = snakemake.input.counts, snakemake.params, snakemake.output
    make_deterministic(EVALUATION_SEED, params.threads)
    adata, steps, cells = preprocess(read_large_matrix(counts), **params.settings)
    if params.clusters is not None:
        from sclatent.clustering.of_dataset import (
            data_clusters,
        )  # imports what data with labels do without

        clusters = pd.Series(data_clusters(adata, **params.clusters), index=adata.obs_names)
        adata.obs["cell_type"] = ("cluster " + clusters.astype(str)).astype("category")
    origin = provenance(snakemake, [counts])
    write_matrix(adata, output.data, "preprocessed", origin)
    write_table(steps, output.qc, "qc", origin)
    write_table(cells, output.cells, "qc_cells", origin)


if __name__ == "__main__":
    run(main)
