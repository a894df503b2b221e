# Needs:    the template in workflow/notebooks and the tables and maps that a figure draws
# Makes:    results/studies/{study}/figures/{figure}/{subject}.svg, the same as .pdf, and the executed notebook; interactive figures as
#           .html. FIGURES in common_figures.smk says which there are, and of what.
# Promises: figures are drawn from results alone; an error in a cell fails the job and leaves the notebook as its log.


wildcard_constraints:
    figure="|".join(FIGURES),
    subject="|".join(map(re.escape, subjects_of_figures())) or "none",


rule figures:
    input:
        unpack(data_of_figure),
        template=os.path.relpath(BASE / "workflow/notebooks/figure.ipynb"),
        code=lambda wildcards: code(
            "figures", BASE / f"scripts/sclatent/figures/{wildcards.figure}.py"
        ),
    output:
        figure=report(
            "results/studies/{study}/figures/{figure}/{subject}.svg",
            category=title_of_study,
            subcategory="Figures",
            labels=labels_of_figure,
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
        figure="|".join(name for name in FIGURES if name not in INTERACTIVE),
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500, 3),
        runtime=growing(10, 0.01),
    params:
        title=lambda wildcards: CATALOGUE[wildcards.figure].title,
        question=lambda wildcards: CATALOGUE[wildcards.figure].question,
        parameters=parameters_of_figure,
    message:
        "Drawing {wildcards.figure} of {wildcards.subject}"
    script:
        "../../scripts/figures.py"


use rule figures as interactive_figures with:
    output:
        figure=report(
            "results/studies/{study}/figures/{figure}/{subject}.html",
            category=title_of_study,
            subcategory="Figures",
            labels=labels_of_figure,
            caption="../report/figures.rst",
        ),
        notebook="results/studies/{study}/figures/{figure}/{subject}.ipynb",
    wildcard_constraints:
        figure="|".join(INTERACTIVE),
