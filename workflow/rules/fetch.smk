# Needs:    the data-set table.
# Makes:    results/data/{dataset}/source, the file of a data set.
# Promises: the file is whole and has the SHA-256 that the table names.


rule fetch:
    input:
        code=code("fetch"),
    output:
        "results/data/{dataset}/source",
    log:
        "results/logs/fetch/{dataset}.log",
    benchmark:
        "results/benchmarks/fetch/{dataset}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        source=lambda wildcards: CONFIG.datasets[wildcards.dataset].source.model_dump(),
    message:
        "Fetching {wildcards.dataset}"
    script:
        "../../scripts/fetch.py"
