"""What each kind of file holds: the slots of matrices and the columns of tables, with their types and units.

The modules `matrices` and `tables` check a file against its contract whenever they write one, and
workflow/schemas/README.md is generated from this module.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    """A slot of an AnnData file: its path, form, meaning, and whether it may be missing.

    A path that ends in * stands for one slot or more.
    """

    path: str
    form: str  # "csr int32", "csr float32", "dense float32", "float32" (either), "float64", "text" or "text or missing"
    meaning: str
    optional: bool = False


@dataclass(frozen=True)
class Column:
    """A column of a table: its type, its meaning, and whether a value may be missing."""

    type: str  # "text", "whole" or "real"
    meaning: str
    optional: bool = False


COUNTS = Slot(
    "layers/counts",
    "csr int32",
    "whole, non-negative counts, cells x genes; missing where data are no counts",
    True,
)
CELL_TYPE = Slot("obs/cell_type", "text", "label of each cell; read for scores and figures only")
CONDITION = Slot(
    "obs/condition", "text", "condition of each cell; the control is named in uns['control']", True
)
BATCH = Slot("obs/batch", "text", "batch of each cell", True)
SPLIT = "train, or held_out: cells that took no part in the choice of genes, in scaling, in balancing and in training"
PERCENT_MITO = Slot(
    "obs/pct_counts_mt",
    "float64",
    "share of mitochondrial counts, percent; NaN where it has no meaning",
)
LATENT = (
    "(n_cells, latent_dim); seeds that failed have none and stand in uns['failed'] as a mapping seed -> reason, the others in "
    "uns['loss'] with the mean loss of the cells that uns['loss_cells'] names: held_out, or all where none is held out"
)

MATRICES: dict[str, list[Slot]] = {
    "counts": [
        COUNTS,
        Slot("X", "csr float32", "values that are no counts, in place of layers/counts", True),
        Slot(
            "obs/cell_type",
            "text or missing",
            f"{CELL_TYPE.meaning}; no column where labels are derived",
            True,
        ),
        Slot("obs/condition", "text or missing", CONDITION.meaning, True),
        Slot("obs/batch", "text or missing", BATCH.meaning, True),
        Slot("obs/split", "text", "train or held_out, where the source has a test set", True),
        PERCENT_MITO,
    ],
    "preprocessed": [
        Slot(
            "X",
            "csr float32",
            "normalised values; with normalization: log, the logarithm of 1 + counts per target_sum",
        ),
        COUNTS,
        CELL_TYPE,
        CONDITION,
        BATCH,
        Slot("obs/split", "text", SPLIT),
        PERCENT_MITO,
        Slot(
            "var/mean",
            "float64",
            "mean of X over training cells, by which models see it centred; with scale only",
            True,
        ),
        Slot(
            "var/std",
            "float64",
            "its standard deviation over them (n - 1), by which it is divided; with scale only",
            True,
        ),
    ],
    "training": [
        Slot(
            "X",
            "float32",
            "values that models are trained on, scaled where the data set is; CSR or dense",
        ),
        Slot("obs/drawn", "text", "name of the cell that the row is"),
        Slot(
            "var/mean",
            "float64",
            "mean of each gene before these values were standardised; with standardize only",
            True,
        ),
        Slot("var/std", "float64", "its standard deviation (n); with standardize only", True),
    ],
    "latents": [
        Slot("obsm/mean_seed_*", "dense float32", f"posterior mean {LATENT}"),
        Slot(
            "obsm/sample_seed_*",
            "dense float32",
            "one draw from the posterior, in the same shape; stochastic models only",
        ),
        Slot(
            "obsm/responsibilities_seed_*",
            "dense float32",
            "(n_cells, n_components) posterior of components; mixtures only",
        ),
        Slot(
            "obsm/w_mean_seed_*",
            "dense float32",
            "(n_cells, w_dim) mean of the latent that moves components; mixtures only",
        ),
        Slot("obsm/w_sample_seed_*", "dense float32", "one draw of it"),
        CELL_TYPE,
        CONDITION,
    ],
    "embedding": [
        Slot("obsm/tsne_2d_seed_*", "dense float32", "two-dimensional t-SNE of the posterior mean"),
        Slot(
            "obsm/tsne_2d_sample_seed_*",
            "dense float32",
            "that of one draw from the posterior; where the study asks for it",
        ),
        Slot(
            "obsm/tsne_3d_seed_*",
            "dense float32",
            "the same in three dimensions, for the seed of the lowest loss",
        ),
        CELL_TYPE,
        CONDITION,
    ],
    "umap": [
        Slot(
            "obsm/umap_*",
            "dense float32",
            "`umap_<model>_seed_<seed>`: UMAP of the mean latent of the seed of the lowest loss; with `_sample`, `_w_mean` or "
            "`_w_sample` behind it that of another latent of more than two dimensions",
        ),
        CELL_TYPE,
        CONDITION,
    ],
    "drawn": [
        Slot(
            "X",
            "dense float32",
            "values drawn from a model, the noise of its likelihood included, in the units of X of preprocessed; of the seed of "
            "the lowest loss, uns['seed']. No cells where none can be drawn, with the reason in uns['absent']",
        ),
        Slot("layers/expected", "dense float32", "what the same latents are expected to express"),
        Slot(
            "obs/cell_type",
            "text",
            "cell type that the component stands for, 'no type' where it stands for none; or that the model was told; else all",
        ),
        Slot("obs/condition", "text", "condition that the model was told, all where it sees none"),
        Slot(
            "obs/component",
            "text",
            "number of the component, from 0; all where there are no components",
        ),
    ],
    "drawn_map": [
        Slot(
            "obsm/umap",
            "dense float32",
            "UMAP of the cells that a model draws together with at most 2,000 real ones, in 50 principal components of these, a "
            "map a model. uns['seed'] is a mapping model -> seed, uns['absent'] model -> why it draws no cells",
        ),
        Slot("obs/model", "text", "model whose map it is"),
        Slot("obs/origin", "text", "real or drawn"),
        Slot("obs/cell_type", "text", "label of a real cell; of drawn cells as in drawn"),
        Slot(
            "obs/condition",
            "text",
            "condition of a real cell, all where cells have none; of drawn cells as in drawn",
        ),
    ],
}
MATRICES["export"] = [
    *MATRICES["preprocessed"],
    Slot(
        "obs/*_kmeans", "text", "`<model>_kmeans`: cluster of each cell in `X_<model>`, by k-means"
    ),
    Slot("obs/*_louvain", "text", "the same by Louvain"),
    Slot("obs/*_leiden", "text", "the same by Leiden"),
    Slot("obs/*_component", "text", "most probable component of each cell; mixtures only"),
    Slot("obs/*_responsibility", "float32", "its responsibility; mixtures only"),
    Slot(
        "obsm/X_*",
        "dense float32",
        "`X_<model>`: mean latent of the seed of the lowest loss; none where every seed failed. uns['sclatent']['models'] names "
        "by model that seed, the loss of every seed, whether of cells held_out or all, and why others failed",
    ),
    Slot("obsm/X_*_w", "dense float32", "mean of the latent that moves components; mixtures only"),
    Slot("obsm/X_*_umap", "dense float32", "UMAP of `X_<model>`"),
    Slot("obsm/X_*_tsne", "dense float32", "two-dimensional t-SNE of it"),
    Slot("obsm/X_*_tsne_3d", "dense float32", "the same in three dimensions"),
    Slot(
        "obsm/*_responsibilities",
        "dense float32",
        "(n_cells, n_components) posterior of components; mixtures only",
    ),
]

RUN = {
    "dataset": Column("text", "name of the data set"),
    "model": Column("text", "name of the model"),
    "seed": Column("whole", "seed of the training"),
}
CLUSTERING = {
    "latent": Column(
        "text",
        "mean or sample: which latent was clustered; w_mean: the latent that moves components",
    ),
    "method": Column(
        "text",
        "kmeans_latent, louvain_latent, leiden_latent; louvain_oracle, leiden_oracle: at the resolution, 0.1 to 2, that agrees "
        "best with labels; components: the mixture's own, and kmeans_<number>: as many clusters of its floor; kmeans_tsne: the "
        "protocol of the PBMC3k report; latent: no clusters",
    ),
}
METRIC = Column("text", "name of the metric")
SPLIT_SCORED = Column("text", "cells that are scored: all, train or held_out")
TREATED = {
    "split": Column(
        "text",
        "held_out: no treated cell of the type was trained on; in_sample: models have seen such cells",
    ),
    "condition": Column("text", "condition that is predicted"),
    "cell_type": Column(
        "text", "cell type that is predicted, all for cells of any; mean of types in summaries"
    ),
    "method": Column(
        "text",
        "predictor, of sclatent.perturbation.baselines or model_responses; real_cells: real treated cells; every seed failed",
    ),
}
GENERATED = {
    "condition": Column(
        "text",
        "condition of the cells; all where the model sees none, and of the mean in summaries",
    ),
    "cell_type": Column(
        "text",
        "cell type that the component stands for; all where there are no components; mean of groups",
    ),
}
GENES = Column(
    "text",
    "genes that are compared: all, or those that rise most in real cells: top_100, top_20, top_10",
)
FLOOR = {
    "clustering": "the same for PCA of the same width and input, of components k-means of it into as many clusters; missing for "
    "floors, and for t-SNE where PCA has no map",
    "perturbation": "the same for the control cells, unchanged",
    "generation": "the same for cells of which each gene is drawn by itself, from real cells of any type and condition; "
    "missing where it holds every gene's mean and the metric sees little else",
}
CEILING = {
    "clustering": "the same for the labels themselves; missing where they are no clusters",
    "perturbation": "the same for other real treated cells of the type: those trained on, or a random half",
    "generation": "the same for a random half of the real cells",
}


def divided_into(n_components: int) -> str:
    """Return the name in a table of k-means into as many clusters as a mixture has components: the floor of those."""
    return f"kmeans_{n_components}"


def _bounds(evaluation: str) -> dict[str, Column]:
    return {
        "floor": Column("real", FLOOR[evaluation], optional=True),
        "ceiling": Column("real", CEILING[evaluation], optional=True),
    }


def _summary(
    keys: dict[str, Column], evaluation: str, model_free: bool = False
) -> dict[str, Column]:
    """Return the columns of a table of means over seeds."""
    bounds = _bounds(evaluation)
    return {
        "dataset": RUN["dataset"],
        "model": Column(
            "text", "name of the model; missing for predictors without one", optional=True
        )
        if model_free
        else RUN["model"],
        **keys,
        "mean": Column("real", "mean over the seeds that did not fail", optional=True),
        "sd": Column("real", "standard deviation over them (n - 1)", optional=True),
        "n": Column("whole", "number of seeds behind it, which did not fail"),
        "n_seeds": Column("whole", "number of seeds that were asked for"),
        "failed_share": Column("real", "share of them that failed"),
        "floor": Column("real", f"mean over the seeds: {bounds['floor'].meaning}", optional=True),
        "difference": Column(
            "real", "mean over the seeds of the difference to the floor", optional=True
        ),
        "ci_low": Column(
            "real",
            "lower end of its 95 % confidence interval, by Student's t over seeds",
            optional=True,
        ),
        "ci_high": Column("real", "upper end", optional=True),
        "ceiling": Column(
            "real", f"mean over the seeds: {bounds['ceiling'].meaning}", optional=True
        ),
        "rank": Column(
            "whole",
            "rank of the mean among those compared, 1 the best; missing where none is better",
            optional=True,
        ),
        "train_seconds": Column("real", "mean wall time of a training, seconds", optional=True),
        "train_memory": Column("real", "largest resident memory of a training, MB", optional=True),
    }


TABLES: dict[str, dict[str, Column]] = {
    "qc": {
        "step": Column("text", "what was removed, in the order of removal, at first nothing"),
        "n_cells": Column("whole", "cells left"),
        "n_genes": Column("whole", "genes left"),
    },
    "qc_cells": {
        "cell": Column("text", "name of the cell"),
        "n_genes": Column("whole", "detected genes, before any was removed"),
        "total_counts": Column("real", "sum of its counts"),
        "pct_counts_mt": Column("real", "share of mitochondrial counts, percent", optional=True),
        "removed": Column(
            "text", "why the cell was removed; missing for cells that stay", optional=True
        ),
    },
    "data_clusters": {
        "cell": Column("text", "name of the cell, of the training cells"),
        "cluster": Column("whole", "number of its Louvain cluster, from 0"),
    },
    "history": {
        "epoch": Column("whole", "epoch, from 1, counted through all phases"),
        "split": Column(
            "text", "train, or validation: training cells on which the loss is only watched"
        ),
        "part": Column(
            "text",
            "part of the loss; loss is what was minimised, on validation cells always without labels",
        ),
        "value": Column(
            "real",
            "mean over the cells; on validation cells at the end of the epoch, without masks and warm-up",
        ),
    },
    "clusters": {
        "cell": Column("text", "name of the cell"),
        "seed": RUN["seed"],
        **CLUSTERING,
        "cluster": Column("whole", "number of the cluster, from 0"),
    },
    "scores": {
        **RUN,
        "split": SPLIT_SCORED,
        **CLUSTERING,
        "metric": METRIC,
        "subset": Column("text", "all, or the cell type whose recall it is"),
        "value": Column("real", "value of the metric"),
        "chance": Column(
            "real",
            "the same for shuffled labels, mean of 5; missing where labels have no part, or choose",
            optional=True,
        ),
        **_bounds("clustering"),
    },
    "markers": {
        "condition": TREATED["condition"],
        "cell_type": Column(
            "text",
            "cell type, or all, of the treated and control cells that are compared, all of them real",
        ),
        "rank": Column("whole", "rank of the gene, from 1, by falling score"),
        "gene": Column("text", "name of the gene"),
        "score": Column(
            "real", "z-score of the Wilcoxon rank-sum test of treated against control cells"
        ),
    },
    "responses": {
        "seed": Column(
            "whole",
            "seed of the training, the lowest that did not fail; missing without a model",
            optional=True,
        ),
        "condition": TREATED["condition"],
        "cell_type": Column("text", "cell type that is predicted"),
        "method": Column(
            "text",
            "control or treated: real cells, those that predictions start from and are compared with; else the predictor",
        ),
        "gene": Column("text", "name of the gene"),
        "mean": Column(
            "real",
            "mean of its values over the cells; of predictors over the cells that they expect",
        ),
        "score": Column(
            "real",
            "z-score of the Wilcoxon rank-sum test of the cells, as a predictor draws them, against the control cells; missing "
            "for those",
            optional=True,
        ),
    },
    "perturbation": {
        "dataset": RUN["dataset"],
        "model": Column(
            "text", "name of the model; missing for predictors without one", optional=True
        ),
        "seed": Column(
            "whole", "seed of the training; missing for predictors without one", optional=True
        ),
        **TREATED,
        "metric": METRIC,
        "subset": GENES,
        "value": Column("real", "value of the metric"),
        "resampling_sd": Column(
            "real",
            "its standard deviation over resamples of the cells, where it is resampled",
            optional=True,
        ),
        **_bounds("perturbation"),
    },
    "generation": {
        **RUN,
        **GENERATED,
        "metric": METRIC,
        "value": Column("real", "value of the metric"),
        **_bounds("generation"),
    },
    "absent": {
        "evaluation": Column("text", "clustering, generation or perturbation"),
        "dataset": RUN["dataset"],
        "model": Column("text", "name of the model; missing for all", optional=True),
        "seed": Column("whole", "seed; missing for all", optional=True),
        "what": Column("text", "measurement that does not apply"),
        "reason": Column("text", "why"),
    },
    "runs": {
        **RUN,
        "status": Column("text", "trained or failed"),
        "reason": Column("text", "why the seed failed", optional=True),
    },
    "summary": _summary(
        {
            "split": SPLIT_SCORED,
            **CLUSTERING,
            "metric": METRIC,
            "subset": Column("text", "all, or a cell type"),
        },
        "clustering",
    ),
    "perturbation_summary": _summary(
        {**TREATED, "metric": METRIC, "subset": GENES}, "perturbation", model_free=True
    ),
    "generation_summary": _summary({**GENERATED, "metric": METRIC}, "generation"),
    "resources": {
        "rule": Column("text", "name of the rule"),
        "dataset": RUN["dataset"],
        "model": Column(
            "text",
            "name of the model; missing for jobs that take all models at once",
            optional=True,
        ),
        "seed": Column(
            "whole",
            "seed of the training; missing for jobs that take all seeds at once",
            optional=True,
        ),
        "seconds": Column("real", "wall time, seconds"),
        "peak_memory": Column(
            "real",
            "largest resident memory, MB; missing for jobs too short to be sampled",
            optional=True,
        ),
    },
}


# Files of other kinds, by name.
OTHERS = {
    "files/{file}": "a published file as it was fetched, checked against the data-set table",
    "weights.safetensors": "parameters and buffers of a trained model, float32, by name; none for a failed run",
    "run.json": "status (trained or failed), reason, family, hyperparameters, input, training, share of labels seen, n_vars "
    "(genes of the data set), n_counts (genes whose counts it explains), conditions and classes (names, in order), SHA-256 of "
    "the weights, provenance",
    "headline.txt, headline.html": "the headline table as text and as a page",
    "figures/{figure}/{subject}.svg, .pdf, .html, .ipynb": "a figure for screen and print, or a page, and the executed notebook",
    "exports/{table}.parquet": "the table of that kind as Parquet; provenance in the metadata of its schema",
    "configuration.yaml": "the effective configuration",
    "overview.rst": "the first page of the report; provenance is its first paragraph, a comment",
    "report.html": "Snakemake's report",
    "paper.pdf": "the paper that the template in workflow/paper makes of the results",
}


def as_markdown() -> str:
    """Return the contracts as Markdown."""
    lines = ["### Other files", "", "| file | holds |", "|---|---|"]
    lines += [f"| `{name}` | {holds} |" for name, holds in OTHERS.items()] + [""]
    for kind, slots in MATRICES.items():
        lines += [
            f"### `{kind}` (AnnData, .h5ad)",
            "",
            "| slot | form | meaning |",
            "|---|---|---|",
        ]
        lines += [
            f"| `{slot.path}` | {slot.form}{', may be missing' if slot.optional else ''} | {slot.meaning} |"
            for slot in slots
        ] + [""]
    for kind, columns in TABLES.items():
        lines += [f"### `{kind}` (table, .tsv)", "", "| column | type | meaning |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {column.type}{', may be missing' if column.optional else ''} | {column.meaning} |"
            for name, column in columns.items()
        ] + [""]
    return "\n".join(lines)
