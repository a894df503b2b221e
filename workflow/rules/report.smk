# Needs:    the tables and figures of every study of the run
# Makes:    results/configuration.yaml, the effective configuration, and results/report.html.
# Promises: one page that opens without a network.


rule configuration:
    input:
        code=code("configuration"),
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
        configuration=CONFIG.model_dump(mode="json"),
    message:
        "Writing the effective configuration"
    script:
        "../../scripts/configuration.py"


rule report:
    input:
        configuration="results/configuration.yaml",
        results=[path for study in CONFIG.run for path in [f"results/studies/{study}/headline.html", *figures_of(study)]],
        captions=sorted(os.path.relpath(path) for path in (BASE / "workflow/report").glob("*.rst")),
        code=code("report"),
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
    message:
        "Building the report"
    script:
        "../../scripts/report.py"
