# Needs:    a template in workflow/notebooks and the tables and maps that it draws
# Makes:    results/studies/{study}/figures/{figure}/{subject}.svg and the executed notebook of the same name; the subject is a
#           data set, or "all".
# Promises: figures are drawn from results alone; an error in a cell fails the job and leaves the notebook as its log.


rule figures:
    input:
        unpack(data_of_figure),
        template=os.path.relpath(BASE / "workflow/notebooks/{figure}.ipynb"),
        code=lambda wildcards: code("figures", BASE / f"workflow/notebooks/{wildcards.figure}.ipynb"),
    output:
        figure=report(
            "results/studies/{study}/figures/{figure}/{subject}.svg",
            category=lambda wildcards: FIGURES[wildcards.figure],
            subcategory="{study}",
            labels={"subject": "{subject}"},
            caption="../report/figures.rst",
        ),
        notebook="results/studies/{study}/figures/{figure}/{subject}.ipynb",
    log:
        "results/logs/figures/{study}/{figure}/{subject}.log",
        notebook="results/logs/figures/{study}/{figure}/{subject}.ipynb",
    benchmark:
        "results/benchmarks/figures/{study}/{figure}/{subject}.tsv"
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        parameters=parameters_of_figure,
    message:
        "Drawing {wildcards.figure} of {wildcards.subject}"
    script:
        "../../scripts/figures.py"
