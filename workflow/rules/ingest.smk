# Needs:    results/data/{dataset}/source
# Makes:    results/data/{dataset}/counts.h5ad, of the kind "counts": whole counts of all cells and genes, with labels.
# Promises: counts are whole and non-negative, every cell has a label; a file that cannot give that stops here.


rule ingest:
    input:
        source="results/data/{dataset}/source",
        code=code("ingest"),
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
        mem_mb=2000,
        runtime=10,
    params:
        reader=lambda wildcards: CONFIG.datasets[wildcards.dataset].reader,
    message:
        "Reading {wildcards.dataset}"
    script:
        "../../scripts/ingest.py"
