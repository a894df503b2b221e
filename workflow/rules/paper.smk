# Needs:    the tables and figures of every study of the run, and the template in workflow/paper
# Makes:    results/paper.pdf: methods from the effective configuration, results beside those of the reference works; on demand,
#           results/reference/{study}/, what the paper shows of its tables, to be kept: `snakemake paper_<study>`; and
#           results/paper_kept.pdf, the paper of kept tables, without figures: `snakemake paper_kept`.
# Promises: every number of a result is read from a table by name, and one that is missing fails the job; no network, no font of
#           the machine; the same inputs give the same bytes.


rule paper:
    input:
        **SOURCES_OF_PAPER,
        configuration="results/configuration.yaml",
        tables=expand(
            "results/studies/{study}/{table}.tsv",
            study=CONFIG.run,
            table=TABLES_OF_PAPER,
        ),
        quality_control=list(quality_control_of_paper().values()),
        trainings=list(map(record_of_run, trainings_of_run())),
        figures=[figure["path"] for figure in figures_of_paper()],
    output:
        "results/paper.pdf",
    log:
        "results/logs/paper.log",
    benchmark:
        "results/benchmarks/paper.tsv"
    localrule: True
    conda:
        "../../envs/paper.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        studies=studies_of_paper(CONFIG.run),
        kinds=TABLES_OF_PAPER,
        datasets=list(quality_control_of_paper()),
        figures=figures_of_paper(),
        conditions=conditions_of_models(),
    message:
        "Typesetting the paper"
    script:
        "../../scripts/paper.py"


use rule paper as paper_kept with:
    input:
        **SOURCES_OF_PAPER,
        configuration="results/configuration.yaml",
        tables=[kept(table) for study in kept_studies() for table in reference_tables(study)],
        quality_control=[],
        trainings=[],
        figures=[],
    output:
        "results/paper_kept.pdf",
    log:
        "results/logs/paper_kept.log",
    benchmark:
        "results/benchmarks/paper_kept.tsv"
    params:
        studies=studies_of_paper(kept_studies()),
        kinds=TABLES_OF_PAPER,
        datasets=[],
        figures=[],
        conditions=conditions_of_models(),
    message:
        "Typesetting the paper of kept tables"


rule keep:
    input:
        table="results/studies/{study}/{table}.tsv",
        code=code("keep"),
    output:
        "results/reference/{study}/{table}.tsv",
    log:
        "results/logs/keep/{study}/{table}.log",
    localrule: True
    conda:
        "../../envs/paper.yaml"
    threads: 1
    resources:
        mem_mb=100,
        runtime=5,
    message:
        "Keeping the table {wildcards.table} of {wildcards.study}"
    script:
        "../../scripts/keep.py"


for study in CONFIG.run:

    rule:
        name:
            f"paper_{study}"
        input:
            reference_tables(study),
        localrule: True
