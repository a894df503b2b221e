# Needs:    the files of a data set: your own, or those in results/files.
# Makes:    results/data/{dataset}/counts.h5ad, of the kind "counts": whole counts of all cells and
#           genes, with labels.
# Promises: counts are whole and non-negative, names are unique, and labels are those of the named
#           columns. A file that cannot give this stops here.


rule ingest:
    input:
        unpack(lambda wildcards: source_files(PLAN, wildcards.dataset)),
    output:
        "results/data/{dataset}/counts.h5ad",
    log:
        "results/logs/ingest/{dataset}.log",
    benchmark:
        "results/benchmarks/ingest/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000, 4),
        runtime=growing(30, 0.02),
    params:
        code=code_digest("ingest"),
        format=lambda wildcards: PLAN.datasets[wildcards.dataset].format,
        roles=lambda wildcards: list(PLAN.datasets[wildcards.dataset].files),
        options=lambda wildcards: PLAN.reader_options(wildcards.dataset),
        settings=lambda wildcards: PLAN.datasets[wildcards.dataset].model_dump(
            include={"columns", "control", "keep", "drop"}
        ),
    message:
        "Reading {wildcards.dataset}"
    script:
        "../../scripts/ingest.py"
