"""Score the clusters of every model and seed on one data set against the cell types."""

from _job import provenance, run
from sclatent.matrices import read_obs
from sclatent.metrics import score_table
from sclatent.tables import concat_tables, read_table, write_table


def main(snakemake):
    files = snakemake.input
    labels = read_obs(files.data)["cell_type"]
    tables = []
    for model, path in zip(snakemake.params.models, files.clusters, strict=True):
        table = score_table(read_table(path, "clusters"), labels)
        table.insert(0, "dataset", snakemake.wildcards.dataset)
        table.insert(1, "model", model)
        tables.append(table)
    origin = provenance(snakemake, [*files.clusters, files.data])
    write_table(concat_tables(tables, "scores"), snakemake.output[0], "scores", origin)


if __name__ == "__main__":
    run(main)
