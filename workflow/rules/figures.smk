# Needs:    a template in workflow/notebooks and the tables and maps that it draws
# Makes:    results/studies/{study}/figures/{figure}/{subject}.svg and the executed notebook of the same name; the subject is a
#           data set, or "all".
# Promises: figures are drawn from results alone; an error in a cell fails the job and leaves the notebook as its log.


FIGURES = {"latent_space": "Latent spaces", "score_heatmap": "Scores"}


def figures_of(study):
    """Every figure of a study."""
    subjects = [("latent_space", dataset) for dataset in CONFIG.studies[study].datasets] + [("score_heatmap", "all")]
    return [f"results/studies/{study}/figures/{figure}/{subject}.svg" for figure, subject in subjects]


def data_of_figure(wildcards):
    """The files that a figure draws."""
    folder = f"results/studies/{wildcards.study}"
    if wildcards.figure == "score_heatmap":
        return {"summary": f"{folder}/summary.tsv"}
    models = CONFIG.studies[wildcards.study].models
    return {
        "umap": f"{folder}/{wildcards.subject}/umap.h5ad",
        "tsne": expand("{folder}/{{subject}}/{model}/tsne.h5ad", folder=folder, model=models),
        "clusters": expand("{folder}/{{subject}}/{model}/clusters.tsv", folder=folder, model=models),
    }


def parameters_of_figure(wildcards, input):
    """The parameters of a figure's notebook: its files, the names to show, and the seed to draw."""
    study = CONFIG.studies[wildcards.study]
    models = {name: CONFIG.models[name].title for name in study.models}
    if wildcards.figure == "score_heatmap":
        datasets = {name: CONFIG.datasets[name].title for name in study.datasets}
        return {"summary": input.summary, "datasets": datasets, "models": models}
    return {
        "title": CONFIG.datasets[wildcards.subject].title,
        "models": models,
        "umap": input.umap,
        "tsne": dict(zip(study.models, input.tsne)),
        "clusters": dict(zip(study.models, input.clusters)),
        "seed": study.seeds[0],
    }


rule figures:
    input:
        unpack(data_of_figure),
        template=os.path.relpath(BASE / "workflow/notebooks/{figure}.ipynb"),
        code=code("figures"),
    output:
        figure=report(
            "results/studies/{study}/figures/{figure}/{subject}.svg",
            category=lambda wildcards: FIGURES[wildcards.figure],
            subcategory="{study}",
            labels={"subject": "{subject}"},
            caption="../report/figures.rst",
        ),
        notebook="results/studies/{study}/figures/{figure}/{subject}.ipynb",
    message:
        "Drawing {wildcards.figure} of {wildcards.subject}"
    log:
        "results/logs/figures/{study}/{figure}/{subject}.log",
        notebook="results/logs/figures/{study}/{figure}/{subject}.ipynb",
    benchmark:
        "results/benchmarks/figures/{study}/{figure}/{subject}.tsv"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        parameters=parameters_of_figure,
    conda:
        "../../envs/figures.yaml"
    script:
        "../../scripts/figures.py"
