# Needs:    the template in workflow/notebooks, and the tables and maps that a figure draws.
# Makes:    results/studies/{study}/figures/{figure}/{subject}.svg, the same as .pdf, and the
#           executed notebook; .html for interactive figures. sclatent.pipeline.figures says which
#           figures there are, and of what.
# Promises: figures are drawn from results alone. An error in a cell fails the job; the notebook
#           with the error is in the logs.


rule figures:
    input:
        unpack(lambda wildcards: FIGURES.inputs(**wildcards)),
        template=os.path.relpath(BASE / "workflow/notebooks/figure.ipynb"),
    output:
        figure=report(
            "results/studies/{study}/figures/{figure}/{subject}.svg",
            category=of_study(lambda study: study.title),
            subcategory="Figures",
            labels=lambda wildcards: FIGURES.labels(**wildcards),
            caption="../report/figures.rst",
        ),
        pdf="results/studies/{study}/figures/{figure}/{subject}.pdf",
        notebook="results/studies/{study}/figures/{figure}/{subject}.ipynb",
    log:
        "results/logs/figures/{study}/{figure}/{subject}.log",
        notebook="results/logs/figures/{study}/{figure}/{subject}.ipynb",
    benchmark:
        "results/benchmarks/figures/{study}/{figure}/{subject}.tsv"
    wildcard_constraints:
        figure="|".join(PICTURES),
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500, 3),
        runtime=growing(10, 0.01),
    params:
        code=lambda wildcards: code_digest(
            "figures", BASE / f"scripts/sclatent/figures/{wildcards.figure}.py"
        ),
        title=lambda wildcards: CATALOGUE[wildcards.figure].title,
        question=lambda wildcards: CATALOGUE[wildcards.figure].question,
        parameters=lambda wildcards: FIGURES.parameters(**wildcards),
    message:
        "Drawing {wildcards.figure} of {wildcards.subject}"
    script:
        "../../scripts/figures.py"


use rule figures as interactive_figures with:
    output:
        figure=report(
            "results/studies/{study}/figures/{figure}/{subject}.html",
            category=of_study(lambda study: study.title),
            subcategory="Figures",
            labels=lambda wildcards: FIGURES.labels(**wildcards),
            caption="../report/figures.rst",
        ),
        notebook="results/studies/{study}/figures/{figure}/{subject}.ipynb",
    wildcard_constraints:
        figure="|".join(INTERACTIVE),
