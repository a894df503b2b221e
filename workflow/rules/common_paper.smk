# Needs:    common.smk, common_figures.smk and common_report.smk
# Makes:    nothing; TABLES_OF_PAPER, SOURCES_OF_PAPER (what it is typeset from beside results), and the helpers by which the rules
#           of the paper know its data sets, tables and figures.
# Promises: the figures of the paper are those of the report, interactive ones apart.

TABLES_OF_PAPER = ["summary", "perturbation_summary", "generation_summary", "runs", "absent"]

SOURCES_OF_PAPER = {
    "template": sorted(os.path.relpath(path) for path in (BASE / "workflow/paper").glob("*.typ")),
    "references": os.path.relpath(BASE / "workflow/paper/references.yaml"),
    "code": code("paper"),
}


def conditions_of_models():
    """The condition that each model of this run is told, none where it is told none."""
    return {name: model["condition"] for name, model in models_of_run().items()}


def reference_tables(study):
    """Of a study's tables what is kept and committed."""
    return [f"results/reference/{study}/{table}.tsv" for table in TABLES_OF_PAPER]


def kept(table):
    """The full path of a kept table, by which it is a file of the project and no output of a study, which is not run for it."""
    return str(BASE / table)


def kept_studies():
    """The studies of this run of which all tables are kept."""
    return [
        study
        for study in CONFIG.run
        if all(Path(kept(table)).exists() for table in reference_tables(study))
    ]


def studies_of_paper(studies):
    """What to call studies, their data sets and their models, by name."""
    return {
        study: {
            "title": CONFIG.studies[study].title,
            "datasets": titles_of_datasets(study),
            "models": titles_of_models(study),
        }
        for study in studies
    }


def quality_control_of_paper():
    """What quality control left, by data set of this run: the file of the data set, or of itself with treated cells held out."""
    paths = {}
    for name in data_of_run():
        paths.setdefault(table_entry(name), f"results/data/{name}/qc.tsv")
    return paths


def figures_of_paper():
    """Every figure of the paper: its path, its wildcards by name, its title and that of its subject."""
    figures = []
    for study in CONFIG.run:
        for path in filter(lambda path: path.endswith(".svg"), figures_of(study)):
            wildcards = {
                "study": study,
                "figure": Path(path).parent.name,
                "subject": Path(path).stem,
            }
            figures.append(
                {
                    "path": path,
                    "wildcards": wildcards,
                    **labels_of_figure(Wildcards(fromdict=wildcards)),
                    "caption": CATALOGUE[wildcards["figure"]].caption,
                }
            )
    return figures
