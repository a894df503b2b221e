"""Score the latents and clusters of every model and seed on one data set against the cell types, beside their floors."""

from _job import provenance, run
from sclatent.clustering.scores import score_latents, with_floor
from sclatent.io.matrices import read_matrix, read_obs
from sclatent.io.tables import absent_table, as_kind, concat_tables, read_table, write_table
from sclatent.metrics.agreement import score_table


def main(snakemake):
    files, output, params = snakemake.input, snakemake.output, snakemake.params
    dataset, obs = (
        snakemake.wildcards.dataset,
        read_obs(files.data).loc[read_obs(files.latents[0]).index],
    )
    tables, missing = [], []
    for model, latents, clusters in zip(params.models, files.latents, files.clusters, strict=True):
        of_latents, absent = score_latents(read_matrix(latents), obs)
        found = [
            score_table(read_table(clusters, "clusters"), obs["cell_type"], obs["split"]),
            of_latents,
        ]
        tables += [table.assign(dataset=dataset, model=model) for table in found]
        missing.append(absent_table("clustering", dataset, absent, model))
    scores = with_floor(concat_tables(tables, "scores"), params.floors, params.n_components)
    origin = provenance(snakemake)
    write_table(as_kind(scores, "scores"), output.scores, "scores", origin)
    write_table(
        as_kind(concat_tables(missing, "absent"), "absent"), output.absent, "absent", origin
    )


if __name__ == "__main__":
    run(main)
