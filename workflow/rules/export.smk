# Needs:    results/data/{dataset}/preprocessed.h5ad; latents, maps and clusters of every model of a
#           study; the tables of collect.
# Makes:    results/studies/{study}/exports/: {dataset}.h5ad, of the kind "export", one per data set
#           that the study clusters, and the tables as {table}.parquet.
# Promises: cells have the latents, maps and clusters of the seed with the lowest loss over held-out
#           cells, never of the best-scored seed. The files open in scanpy, in cellxgene and in
#           programs that read Parquet. A Parquet table holds the same as its TSV.


rule export_cells:
    input:
        data="results/data/{dataset}/preprocessed.h5ad",
        umap="results/studies/{study}/{dataset}/umap.h5ad",
        latents=over_models("results/studies/{study}/{dataset}/{model}/latents.h5ad"),
        tsne=over_models("results/studies/{study}/{dataset}/{model}/tsne.h5ad"),
        clusters=over_models("results/studies/{study}/{dataset}/{model}/clusters.tsv"),
    output:
        "results/studies/{study}/exports/{dataset}.h5ad",
    log:
        "results/logs/export_cells/{study}/{dataset}.log",
    benchmark:
        "results/benchmarks/export_cells/{study}/{dataset}.tsv"
    conda:
        "../../envs/evaluation.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000, 3),
        runtime=growing(20, 0.01),
    params:
        code=code_digest("export_cells"),
        title=lambda wildcards: PLAN.titles_of_datasets(wildcards.study)[wildcards.dataset],
        models=lambda wildcards: PLAN.titles_without_floors(wildcards.study),
    message:
        "Exporting {wildcards.dataset} with what models made of it"
    script:
        "../../scripts/export_cells.py"


rule export_tables:
    input:
        tables=expand("results/studies/{{study}}/{table}.tsv", table=COLLECTED),
    output:
        expand("results/studies/{{study}}/exports/{table}.parquet", table=COLLECTED),
    log:
        "results/logs/export_tables/{study}.log",
    benchmark:
        "results/benchmarks/export_tables/{study}.tsv"
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("export_tables"),
        kinds=COLLECTED,
    message:
        "Exporting the tables of {wildcards.study}"
    script:
        "../../scripts/export_tables.py"
