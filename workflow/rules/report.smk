# Needs:    the tables and figures of every study of the run
# Makes:    results/configuration.yaml, the effective configuration; results/overview.rst, the first page of the report;
#           results/report.html.
# Promises: one page that opens without a network, and begins with what came out, what failed, and what it was made of.

from snakemake.iocontainers import Wildcards

PAGE = Path("results/report.html")
PAGE_BEFORE = PAGE.stat().st_mtime_ns if PAGE.exists() else None


def begin():
    """Check the folder of results before the first job, and stamp it."""
    try:
        check_folder()
        stamp_records()
    except UserError as error:
        sys.exit(f"sclatent: {error}")


def print_headlines():
    """Print the headline of every study and where the report is, if this run built the report."""
    if not PAGE.exists() or PAGE.stat().st_mtime_ns == PAGE_BEFORE:
        return
    for name in CONFIG.run:
        # The first line is the provenance.
        _, table = Path(f"results/studies/{name}/headline.txt").read_text().split("\n", maxsplit=1)
        study = PLAN.study(name)
        print(f"\n{study.title}: mean ± sd over {len(study.seeds)} seeds\n\n{table}")
    print(f"Report: {PAGE}")


def print_faults(log):
    """Print what Snakemake's log tells of jobs that were killed and of faults of the machine."""
    for line in explain("\n".join(Path(path).read_text(errors="replace") for path in log)):
        print(f"sclatent: {line}", file=sys.stderr)


def first_page():
    """Return the start page of the report: that of this run once it is written."""
    page = os.path.abspath("results/overview.rst")
    return page if os.path.exists(page) else "workflow/report/workflow.rst"


def over_run(function):
    """Return the paths that an input function gives for the studies of the run, each once."""
    wildcards = [Wildcards(fromdict={"study": study}) for study in CONFIG.run]
    return list(dict.fromkeys(path for study in wildcards for path in function(study)))


def benchmarks_of_run():
    """Return the time and memory of every job that the report rests on."""
    paths = [
        f"results/benchmarks/{rule}/{name}.tsv"
        for rule, names in PLAN.preparations().items()
        for name in names
    ]
    for study in CONFIG.run:
        paths.append(f"results/benchmarks/collect/{study}.tsv")
        paths += [
            f"results/benchmarks/figures/{study}/{figure}/{subject}.tsv"
            for figure, subject in FIGURES.figures_of(study)
        ]
    return [*paths, *over_run(benchmarks)]


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
        scores=[
            *over_run(over_clustered(f"{OF_DATASET}/scores.tsv")),
            *over_run(perturbation_scores),
        ],
        runs=expand("results/studies/{study}/runs.tsv", study=CONFIG.run),
        absent=expand("results/studies/{study}/absent.tsv", study=CONFIG.run),
        headlines=expand("results/studies/{study}/headline.html", study=CONFIG.run),
        benchmarks=benchmarks_of_run(),
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
        captions=sorted(os.path.relpath(path) for path in (BASE / "workflow/report").glob("*.rst")),
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
