# Needs:    common.smk and common_figures.smk
# Makes:    nothing; the helpers by which the rules of the report know what the run rests on.
# Promises: all that the studies of the run make, and nothing of other studies.

from snakemake.iocontainers import Wildcards


def first_page():
    """The start page of the report: that of this run as soon as it is written, and until then what holds for every run."""
    overview = os.path.abspath("results/overview.rst")
    return overview if os.path.exists(overview) else "workflow/report/workflow.rst"


def over_run(*functions):
    """The paths that input functions give for the studies of the run, each once."""
    studies = [Wildcards(fromdict={"study": study}) for study in CONFIG.run]
    return list(
        dict.fromkeys(path for paths in functions for study in studies for path in paths(study))
    )


def trainings_of_run():
    """(data set, model, seed) of every training that the studies of the run rest on."""
    runs = []
    for study in CONFIG.run:
        settings = CONFIG.studies[study]
        if "clustering" in settings.evaluations:
            runs += itertools.product(settings.datasets, models_and_floors(study), settings.seeds)
        runs += runs_beside_clustering(study)
    return list(dict.fromkeys(runs))


def data_of_run():
    """The data sets that models of the run are scored on, with those whose treated cells of a type are held out; their settings."""
    names = []
    for study in CONFIG.run:
        names += (
            CONFIG.studies[study].datasets
            if set(CONFIG.studies[study].evaluations) != {"perturbation"}
            else []
        )
        names += perturbed_datasets(study)
    keys = {"title", "labels", "normalization", "target_sum", "n_top_genes", "scale", "balance"}
    return {name: DATASETS[name].model_dump(include=keys) for name in names}


def sources_of_run():
    """The entries of the data-set table that `data_of_run` are made of; their titles."""
    return {
        name: {"title": CONFIG.datasets[name].title} for name in map(table_entry, data_of_run())
    }


def models_of_run():
    """The models of the run and floors that it trains; title, family, what each is told, and whether it is a floor."""
    found, trained = {}, {model for _, model, _ in trainings_of_run()}
    for study in CONFIG.run:
        for name, title in [
            (name, title) for name, title in titles_of_models(study).items() if name in trained
        ]:
            model, floor = MODELS[name], name in {*ADDED[study], *FLOORS[study].values()}
            found[name] = {
                "title": title,
                "family": model.family,
                "condition": (
                    model.condition if hyperparameters_class(model.family).conditional else None
                ),
                "supervision": model.supervision and model.supervision.model_dump(),
                "floor": floor or found.get(name, {}).get("floor", False),
            }
    return found


def studies_of_run():
    """The studies of the run; title, number of seeds, and titles of data sets and models."""
    return {
        name: {
            "title": CONFIG.studies[name].title,
            "n_seeds": len(CONFIG.studies[name].seeds),
            "datasets": titles_of_datasets(name),
            "models": titles_of_models(name),
        }
        for name in CONFIG.run
    }


def benchmarks_of_run():
    """What every job took that the report rests on: the benchmark files, and the rule of each."""
    trained = {(dataset, model) for dataset, model, _ in trainings_of_run()}
    labels = [
        labels_of_training(Wildcards(fromdict={"dataset": name, "model": model}))
        for name, model in sorted(trained)
    ]
    guides = [(Path(path).parts[2], Path(path).name) for files in labels for path in files.values()]
    data = [*data_of_run(), *(name for name, _ in guides)]
    sources = list(map(table_entry, data))
    balanced = {
        name: DATASETS[name].balance.by for name in data if DATASETS[name].balance is not None
    }
    jobs = {
        "fetch": [
            file.name
            for name in sources
            for file in DATASETS[name].files.values()
            if file.name is not None
        ],
        "ingest": sources,
        "preprocess": data,
        "cluster_data": [
            *(name for name, by in balanced.items() if by == "louvain"),
            *(name for name, file in guides if file == "clusters.tsv"),
        ],
        "balance": balanced,
        "perturb_data": [name for study in CONFIG.run for name in perturbed_datasets(study)],
        "collect": CONFIG.run,
        "figures": [
            re.sub(r"results/studies/(.*?)/figures/(.*)[.]\w+", r"\1/\2", path)
            for study in CONFIG.run
            for path in figures_of(study)
        ],
    }
    rules = {
        f"results/benchmarks/{rule}/{job}.tsv": rule
        for rule, names in jobs.items()
        for job in names
    }
    for study in CONFIG.run:
        rules |= {benchmark_of(study, *job): job[0] for job in jobs_of(study)}
    return rules
