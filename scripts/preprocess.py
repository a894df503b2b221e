"""Filter, hold out, normalise and choose genes; derive labels if the data have none."""

import pandas as pd

from _job import provenance, run
from sclatent.common.determinism import make_deterministic
from sclatent.common.vocabulary import EVALUATION_SEED
from sclatent.config.datasets import Holdout, QualityControl, Scale
from sclatent.data.preprocess import preprocess
from sclatent.io.matrices import read_large_matrix, write_matrix
from sclatent.io.tables import write_table


def main(snakemake):
    params, output = snakemake.params, snakemake.output
    settings = dict(params.settings)
    settings["qc"] = QualityControl.model_validate(settings["qc"])
    for name, section in (("scale", Scale), ("holdout", Holdout)):
        if settings[name] is not None:
            settings[name] = section.model_validate(settings[name])
    make_deterministic(EVALUATION_SEED, params.threads)
    adata, steps, cells = preprocess(read_large_matrix(snakemake.input.counts), **settings)
    if params.clusters is not None:
        # Only data without labels need these imports.
        from sclatent.clustering.of_dataset import data_clusters

        clusters = pd.Series(data_clusters(adata, **params.clusters), index=adata.obs_names)
        adata.obs["cell_type"] = ("cluster " + clusters.astype(str)).astype("category")
    origin = provenance(snakemake)
    write_matrix(adata, output.data, "preprocessed", origin)
    write_table(steps, output.qc, "qc", origin)
    write_table(cells, output.cells, "qc_cells", origin)


if __name__ == "__main__":
    run(main)
