# Needs:    the tables and figures of every study of the run
# Makes:    results/configuration.yaml, the effective configuration, and results/report.html.
# Promises: one page that opens without a network.


rule configuration:
    localrule: True
    input:
        code=code("configuration"),
    output:
        report(
            "results/configuration.yaml",
            category="Configuration",
            labels={"file": "effective configuration"},
            caption="../report/configuration.rst",
        ),
    message:
        "Writing the effective configuration"
    log:
        "results/logs/configuration.log",
    benchmark:
        "results/benchmarks/configuration.tsv"
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
    params:
        configuration=CONFIG.model_dump(mode="json"),
    conda:
        "../../envs/report.yaml"
    script:
        "../../scripts/configuration.py"


rule report:
    localrule: True
    input:
        configuration="results/configuration.yaml",
        results=[
            path
            for study in CONFIG.run
            for path in [f"results/studies/{study}/headline.html", *figures_of(study)]
        ],
        captions=sorted(os.path.relpath(path) for path in (BASE / "workflow/report").glob("*.rst")),
        code=code("report"),
    output:
        "results/report.html",
    message:
        "Building the report"
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    conda:
        "../../envs/report.yaml"
    script:
        "../../scripts/report.py"
