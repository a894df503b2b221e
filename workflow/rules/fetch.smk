# Needs:    the data-set table.
# Makes:    results/data/{dataset}/source, the file of a data set.
# Promises: the file is whole and has the SHA-256 that the table names.


rule fetch:
    localrule: True
    input:
        code=code("fetch"),
    output:
        "results/data/{dataset}/source",
    message:
        "Fetching {wildcards.dataset}"
    log:
        "results/logs/fetch/{dataset}.log",
    benchmark:
        "results/benchmarks/fetch/{dataset}.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        source=lambda wildcards: CONFIG.datasets[wildcards.dataset].source.model_dump(),
    conda:
        "../../envs/data.yaml"
    script:
        "../../scripts/fetch.py"
