# Needs:    the tables and figures of every study of the run, and the template in workflow/paper.
# Makes:    results/paper.pdf: methods from the effective configuration, and results beside those of
#           the reference works. On demand: results/reference/{study}/, the tables of a study that
#           the paper shows, to be kept (`snakemake paper_<study>`); results/paper_kept.pdf, the
#           paper of kept tables, without figures (`snakemake paper_kept`).
# Promises: every number of a result is read from a table by name, and a missing one fails the job.
#           No network and no font of the machine is used. The same inputs give the same bytes.

SOURCES_OF_PAPER = {
    "template": sorted(os.path.relpath(path) for path in (BASE / "workflow/paper").glob("*.typ")),
    "references": os.path.relpath(BASE / "workflow/paper/references.yaml"),
}


rule paper:
    input:
        **SOURCES_OF_PAPER,
        configuration="results/configuration.yaml",
        tables=expand(
            "results/studies/{study}/{table}.tsv",
            study=CONFIG.run,
            table=KEPT,
        ),
        quality_control=list(PLAN.quality_control_of_run().values()),
        trainings=[run.record for run in PLAN.runs],
        figures=[figure["path"] for figure in FIGURES.figures_of_paper()],
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
        code=code_digest("paper"),
        studies=PLAN.studies_of_paper(CONFIG.run),
        kinds=KEPT,
        datasets=list(PLAN.quality_control_of_run()),
        figures=FIGURES.figures_of_paper(),
        conditions=PLAN.conditions_of_models(),
    message:
        "Typesetting the paper"
    script:
        "../../scripts/paper.py"


use rule paper as paper_kept with:
    input:
        **SOURCES_OF_PAPER,
        configuration="results/configuration.yaml",
        tables=[
            str(BASE / table)
            for study in GATHERED.kept_studies(BASE)
            for table in GATHERED.kept_tables(study)
        ],
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
        code=code_digest("paper"),
        studies=PLAN.studies_of_paper(GATHERED.kept_studies(BASE)),
        kinds=KEPT,
        datasets=[],
        figures=[],
        conditions=PLAN.conditions_of_models(),
    message:
        "Typesetting the paper of kept tables"


rule keep:
    input:
        table="results/studies/{study}/{table}.tsv",
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
    params:
        code=code_digest("keep"),
    message:
        "Keeping the table {wildcards.table} of {wildcards.study}"
    script:
        "../../scripts/keep.py"


for study in CONFIG.run:

    rule:
        name:
            f"paper_{study}"
        input:
            GATHERED.kept_tables(study),
        localrule: True
