# Needs:    the tables and figures of every study of the run.
# Makes:    results/configuration.yaml, the effective configuration; results/overview.rst, the first
#           page of the report; results/report.html.
# Promises: one page that opens without a network. It begins with the results, the failures, and
#           what they were made from.


rule configuration:
    output:
        report(
            "results/configuration.yaml",
            category="Configuration",
            labels={"file": "effective configuration"},
            caption="../report/configuration.rst",
        ),
    log:
        "results/logs/configuration.log",
    benchmark:
        "results/benchmarks/configuration.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        code=code_digest("configuration"),
        configuration=CONFIG.model_dump(mode="json"),
    message:
        "Writing the effective configuration"
    script:
        "../../scripts/configuration.py"


rule overview:
    input:
        introduction=os.path.relpath(BASE / "workflow/report/workflow.rst"),
        counts=expand("results/data/{dataset}/counts.h5ad", dataset=PLAN.described_sources()),
        data=expand("results/data/{dataset}/preprocessed.h5ad", dataset=PLAN.described_datasets()),
        records=[run.record for run in PLAN.runs],
        scores=GATHERED.scores_of_run(),
        runs=expand("results/studies/{study}/runs.tsv", study=CONFIG.run),
        absent=expand("results/studies/{study}/absent.tsv", study=CONFIG.run),
        summary=expand("results/studies/{study}/summary.tsv", study=CONFIG.run),
        perturbation_summary=expand(
            "results/studies/{study}/perturbation_summary.tsv", study=CONFIG.run
        ),
        generation_summary=expand(
            "results/studies/{study}/generation_summary.tsv", study=CONFIG.run
        ),
        benchmarks=list(GATHERED.benchmarks_of_run),
    output:
        "results/overview.rst",
    log:
        "results/logs/overview.log",
    benchmark:
        "results/benchmarks/overview.tsv"
    localrule: True
    conda:
        "../../envs/evaluation.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("overview"),
        studies=PLAN.described_studies(),
        datasets=PLAN.described_datasets(),
        sources=PLAN.described_sources(),
        models=PLAN.described_models(),
        trained=[run.model for run in PLAN.runs],
        rules=list(GATHERED.benchmarks_of_run.values()),
    message:
        "Writing the first page of the report"
    script:
        "../../scripts/overview.py"


rule report:
    input:
        configuration="results/configuration.yaml",
        overview="results/overview.rst",
        results=[
            path
            for study in CONFIG.run
            for path in [f"results/studies/{study}/headline.html", *FIGURES.paths_of(study)]
        ],
        captions=[
            *sorted(os.path.relpath(path) for path in (BASE / "workflow/report").glob("*.rst")),
            os.path.relpath(BASE / "scripts/sclatent/figures/catalogue.py"),
        ],
        stylesheet=os.path.relpath(BASE / "workflow/report/report.css"),
        script=os.path.relpath(BASE / "workflow/report/report.js"),
    output:
        "results/report.html",
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    localrule: True
    conda:
        "../../envs/report.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code_digest("report"),
    message:
        "Building the report"
    script:
        "../../scripts/report.py"
