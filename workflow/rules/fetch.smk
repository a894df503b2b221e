# Needs:    the data-set table; the data directories, or the network.
# Makes:    results/files/{file}, a published file of a data set.
# Promises: the file is whole and is the one that the table describes by size and checksum; a download is kept in the first data
#           directory. As its content is pinned, no change in the code of the project makes it stale.


rule fetch:
    output:
        "results/files/{file}",
    log:
        "results/logs/fetch/{file}.log",
    benchmark:
        "results/benchmarks/fetch/{file}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=60,
    params:
        file=lambda wildcards: PUBLISHED[wildcards.file].model_dump(exclude={"path"}),
    message:
        "Fetching {wildcards.file}"
    script:
        "../../scripts/fetch.py"
