# Needs:    the data-set table; the data directories, or the network.
# Makes:    results/files/{file}, a published file of a data set.
# Promises: the file is whole, and has the size and the checksum that the table gives. If the table
#           gives none, the log has those of the file. A download is kept in the first data
#           directory. No change in the library makes the file stale.


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
        pin=lambda wildcards: PLAN.published[wildcards.file].model_dump(
            include={"size", "sha256", "content_md5"}
        ),
    message:
        "Fetching {wildcards.file}"
    script:
        "../../scripts/fetch.py"
