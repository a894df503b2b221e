"""What each kind of file holds: slots of matrices and columns of tables, with types and units.

The modules `matrices` and `tables` check a file against its contract whenever they write one.
workflow/schemas/README.md is generated from this module.
"""

import hashlib
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Slot:
    """A slot of an AnnData file.

    Attributes
    ----------
    path
        Place in the file, such as "obs/split". A path with a * stands for one slot or more.
    form
        "csr int32", "csr float32", "dense float32", "float32" (CSR or dense), "float64", "text" or
        "text or missing".
    meaning
        What the values are, with their unit or shape.
    optional
        Whether the slot may be missing.
    """

    path: str
    form: str
    meaning: str
    optional: bool = False


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    type
        "text", "whole" or "real".
    meaning
        What the values are, with their unit.
    optional
        Whether single values may be missing.
    """

    type: str
    meaning: str
    optional: bool = False


COUNTS = Slot(
    "layers/counts",
    "csr int32",
    "whole, non-negative counts, cells x genes; missing if the data are not counts",
    optional=True,
)
CELL_TYPE = Slot("obs/cell_type", "text", "label of each cell; read for scores and figures only")
CONDITION = Slot(
    "obs/condition",
    "text",
    "condition of each cell; uns['control'] names the control",
    optional=True,
)
BATCH = Slot("obs/batch", "text", "batch of each cell", optional=True)
SPLIT = (
    "train or held_out; held-out cells have no part in gene selection, scaling, balancing and "
    "training"
)
PERCENT_MITO = Slot(
    "obs/pct_counts_mt",
    "float64",
    "share of mitochondrial counts in percent; NaN if the data have no mitochondrial genes",
)
LATENT = (
    "(n_cells, latent_dim); a seed that failed has no slot. uns['failed'] maps these seeds to the "
    "reasons. uns['loss'] maps the other seeds to the mean loss over the cells that "
    "uns['loss_cells'] names: held_out, or all if no cell is held out"
)

MATRICES: dict[str, list[Slot]] = {
    "counts": [
        COUNTS,
        Slot(
            "X",
            "csr float32",
            "values of data that are not counts, instead of layers/counts",
            optional=True,
        ),
        Slot(
            "obs/cell_type",
            "text or missing",
            f"{CELL_TYPE.meaning}; no column if labels are derived",
            optional=True,
        ),
        Slot("obs/condition", "text or missing", CONDITION.meaning, optional=True),
        Slot("obs/batch", "text or missing", BATCH.meaning, optional=True),
        Slot(
            "obs/split",
            "text",
            "train or held_out; only if the source has a test set",
            optional=True,
        ),
        PERCENT_MITO,
    ],
    "preprocessed": [
        Slot(
            "X",
            "csr float32",
            "normalised values; with normalization: log, log(1 + counts) after each cell's counts "
            "are scaled to target_sum",
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
            "mean of X over training cells, which models subtract; only with scale",
            optional=True,
        ),
        Slot(
            "var/std",
            "float64",
            "standard deviation of X over training cells (n - 1), by which models divide; only "
            "with scale",
            optional=True,
        ),
    ],
    "training": [
        Slot(
            "X",
            "float32",
            "values for training, scaled if the data set is scaled; CSR or dense",
        ),
        Slot("obs/drawn", "text", "name of the cell that the row repeats"),
        Slot(
            "var/mean",
            "float64",
            "mean of each gene before standardisation; only with standardize",
            optional=True,
        ),
        Slot(
            "var/std",
            "float64",
            "standard deviation of each gene before standardisation (n); only with standardize",
            optional=True,
        ),
    ],
    "latents": [
        Slot("obsm/mean_seed_*", "dense float32", f"posterior mean {LATENT}"),
        Slot(
            "obsm/sample_seed_*",
            "dense float32",
            "one draw from the posterior, same shape; stochastic models only",
        ),
        Slot(
            "obsm/responsibilities_seed_*",
            "dense float32",
            "(n_cells, n_components) posterior probability of each component; mixtures only",
        ),
        Slot(
            "obsm/w_mean_seed_*",
            "dense float32",
            "(n_cells, w_dim) posterior mean of w, the latent that moves components; mixtures only",
        ),
        Slot("obsm/w_sample_seed_*", "dense float32", "one draw from the posterior of w"),
        CELL_TYPE,
        CONDITION,
    ],
    "embedding": [
        Slot("obsm/tsne_2d_seed_*", "dense float32", "two-dimensional t-SNE of the posterior mean"),
        Slot(
            "obsm/tsne_2d_sample_seed_*",
            "dense float32",
            "two-dimensional t-SNE of one draw from the posterior; only if the study asks for it",
        ),
        Slot(
            "obsm/tsne_3d_seed_*",
            "dense float32",
            "three-dimensional t-SNE of the posterior mean, for the seed with the lowest loss",
        ),
        CELL_TYPE,
        CONDITION,
    ],
    "umap": [
        Slot(
            "obsm/umap_*",
            "dense float32",
            "`umap_<model>_seed_<seed>`: UMAP of the posterior mean, for the seed with the lowest "
            "loss. A name that ends in `_sample`, `_w_mean` or `_w_sample` is the UMAP of that "
            "latent, if it has more than two dimensions",
        ),
        CELL_TYPE,
        CONDITION,
    ],
    "drawn": [
        Slot(
            "X",
            "dense float32",
            "values drawn from a model with the noise of its likelihood, in the units of X of "
            "preprocessed; from the seed with the lowest loss, which uns['seed'] names. If no "
            "cells can be drawn, there are no rows and uns['absent'] gives the reason",
        ),
        Slot("layers/expected", "dense float32", "expected values of the same cells"),
        Slot(
            "obs/cell_type",
            "text",
            "cell type that the component stands for, or 'no type'; the given cell type if the "
            "model takes cell types as conditions; else all",
        ),
        Slot(
            "obs/condition",
            "text",
            "condition given to the model; all if the model takes none",
        ),
        Slot(
            "obs/component",
            "text",
            "number of the component, from 0; all if the model has no components",
        ),
    ],
    "drawn_map": [
        Slot(
            "obsm/umap",
            "dense float32",
            "one UMAP per model, of the cells it draws and at most 2,000 real ones, in 50 "
            "principal components of the real ones. uns['seed'] maps models to seeds; "
            "uns['absent'] maps the other models to the reason why they draw no cells",
        ),
        Slot("obs/model", "text", "model whose map the row belongs to"),
        Slot("obs/origin", "text", "real or drawn"),
        Slot("obs/cell_type", "text", "label of a real cell; for drawn cells as in drawn"),
        Slot(
            "obs/condition",
            "text",
            "condition of a real cell, all if the data have none; for drawn cells as in drawn",
        ),
    ],
}
MATRICES["export"] = [
    *MATRICES["preprocessed"],
    Slot("obs/*_kmeans", "text", "`<model>_kmeans`: k-means cluster of each cell in `X_<model>`"),
    Slot("obs/*_louvain", "text", "`<model>_louvain`: the same by Louvain"),
    Slot("obs/*_leiden", "text", "`<model>_leiden`: the same by Leiden"),
    Slot("obs/*_component", "text", "most probable component of each cell; mixtures only"),
    Slot(
        "obs/*_responsibility",
        "float32",
        "posterior probability of that component; mixtures only",
    ),
    Slot(
        "obsm/X_*",
        "dense float32",
        "`X_<model>`: posterior mean of the seed with the lowest loss; no slot if every seed "
        "failed. uns['sclatent']['models'] gives per model that seed, the loss of each seed, the "
        "cells of the loss (held_out or all), and why the other seeds failed",
    ),
    Slot(
        "obsm/X_*_w",
        "dense float32",
        "posterior mean of w, the latent that moves components; mixtures only",
    ),
    Slot("obsm/X_*_umap", "dense float32", "UMAP of `X_<model>`"),
    Slot("obsm/X_*_tsne", "dense float32", "two-dimensional t-SNE of `X_<model>`"),
    Slot("obsm/X_*_tsne_3d", "dense float32", "three-dimensional t-SNE of `X_<model>`"),
    Slot(
        "obsm/*_responsibilities",
        "dense float32",
        "(n_cells, n_components) posterior probability of each component; mixtures only",
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
        "latent that was clustered: mean, sample, or w_mean (the latent that moves components)",
    ),
    "method": Column(
        "text",
        "kmeans_latent, louvain_latent, leiden_latent: that method on the latent. louvain_oracle, "
        "leiden_oracle: at the resolution from 0.1 to 2 that agrees best with the labels. "
        "components: the mixture's own; kmeans_<number>: k-means of a floor into as many clusters "
        "as a mixture has components. kmeans_tsne: the protocol of the PBMC3k report. latent: the "
        "latent itself, without clusters",
    ),
}
METRIC = Column("text", "name of the metric")
SPLIT_SCORED = Column("text", "cells that are scored: all, train or held_out")
TREATED = {
    "split": Column(
        "text",
        "held_out: no treated cell of the type was in the training; in_sample: some were",
    ),
    "condition": Column("text", "condition that is predicted"),
    "cell_type": Column(
        "text",
        "cell type that is predicted; all: cells of any type; mean of types: in summaries",
    ),
    "method": Column(
        "text",
        "predictor, from sclatent.perturbation.baselines or by_models; real_cells: real treated "
        "cells; every seed failed: in summaries of models without any trained seed",
    ),
}
GENERATED = {
    "condition": Column(
        "text",
        "condition of the cells; all if the model takes none, and for the mean in summaries",
    ),
    "cell_type": Column(
        "text",
        "cell type that the component stands for; all if the model has no components; mean of "
        "groups: in summaries",
    ),
}
GENES = Column(
    "text",
    "genes that are compared: all, or the top_100, top_20 or top_10 that rise most in real cells",
)
FLOOR = {
    "clustering": "score of PCA with the same width and input; for the components of a mixture, of "
    "k-means on that PCA with as many clusters. Missing for floors themselves, and for t-SNE if "
    "the PCA was not mapped",
    "perturbation": "score of the unchanged control cells",
    "generation": "score of cells whose genes are each drawn independently from real cells of any "
    "type and condition; missing if these have the mean of every gene and the metric sees little "
    "else",
}
CEILING = {
    "clustering": "score of the labels themselves; missing for scores without clusters",
    "perturbation": "score of other real treated cells of the type: those in the training, or a "
    "random half",
    "generation": "score of a random half of the real cells",
}


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
        "sd": Column("real", "standard deviation over the same seeds (n - 1)", optional=True),
        "n": Column("whole", "number of seeds that did not fail"),
        "n_seeds": Column("whole", "number of seeds in the study"),
        "failed_share": Column("real", "share of these seeds that failed"),
        "floor": Column("real", f"mean over the seeds: {bounds['floor'].meaning}", optional=True),
        "difference": Column("real", "mean over the seeds of value - floor", optional=True),
        "ci_low": Column(
            "real",
            "lower end of the 95 % confidence interval of difference, by Student's t over seeds",
            optional=True,
        ),
        "ci_high": Column("real", "upper end of that interval", optional=True),
        "ceiling": Column(
            "real", f"mean over the seeds: {bounds['ceiling'].meaning}", optional=True
        ),
        "rank": Column(
            "whole",
            "rank of the mean among the models compared, 1 is best; missing if no value of the "
            "metric is better than another",
            optional=True,
        ),
        "train_seconds": Column("real", "mean wall time of a training, seconds", optional=True),
        "train_memory": Column("real", "largest resident memory of a training, MB", optional=True),
    }


TABLES: dict[str, dict[str, Column]] = {
    "qc": {
        "step": Column("text", "what the step removed, in order; the first row is nothing"),
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
        "cell": Column("text", "name of the training cell"),
        "cluster": Column("whole", "number of the Louvain cluster, from 0"),
    },
    "history": {
        "epoch": Column("whole", "epoch, from 1; the count runs through all phases"),
        "split": Column("text", "train; or validation: training cells set aside to watch the loss"),
        "part": Column(
            "text",
            "part of the loss; loss: the minimised sum, on validation cells always without labels",
        ),
        "value": Column(
            "real",
            "mean over the cells; for validation cells at the end of the epoch, without masks and "
            "warm-up",
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
        "subset": Column("text", "all; or the cell type, for its recall"),
        "value": Column("real", "value of the metric"),
        "chance": Column(
            "real",
            "value for shuffled labels, mean of 5 shuffles; missing if the metric uses no labels "
            "or if labels chose the resolution",
            optional=True,
        ),
        **_bounds("clustering"),
    },
    "markers": {
        "condition": TREATED["condition"],
        "cell_type": Column(
            "text",
            "cell type of the real treated and control cells that are compared, or all",
        ),
        "rank": Column("whole", "rank of the gene by score, from 1 for the highest"),
        "gene": Column("text", "name of the gene"),
        "score": Column(
            "real", "z-score of the Wilcoxon rank-sum test of treated against control cells"
        ),
    },
    "responses": {
        "seed": Column(
            "whole",
            "seed of the training, the lowest that did not fail; missing for predictors without a "
            "model",
            optional=True,
        ),
        "condition": TREATED["condition"],
        "cell_type": Column("text", "cell type that is predicted"),
        "method": Column(
            "text",
            "control: the real cells that predictions start from; treated: the real cells that "
            "they are compared with; else the predictor",
        ),
        "gene": Column("text", "name of the gene"),
        "mean": Column(
            "real",
            "mean value of the gene over the cells; for predictors, over the expected cells",
        ),
        "score": Column(
            "real",
            "z-score of the Wilcoxon rank-sum test of the cells (for predictors, cells as drawn) "
            "against the control cells; missing for the control cells",
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
            "standard deviation of the value over resamples of the cells; missing if the metric is "
            "not resampled",
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
        "model": Column(
            "text", "name of the model; missing if all models are meant", optional=True
        ),
        "seed": Column("whole", "seed; missing if all seeds are meant", optional=True),
        "what": Column("text", "measurement that does not apply"),
        "reason": Column("text", "why it does not apply"),
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
            "name of the model; missing for jobs that process all models together",
            optional=True,
        ),
        "seed": Column(
            "whole",
            "seed of the training; missing for jobs that process all seeds together",
            optional=True,
        ),
        "seconds": Column("real", "wall time, seconds"),
        "peak_memory": Column(
            "real",
            "largest resident memory, MB; missing for jobs that end before the first sample",
            optional=True,
        ),
    },
}


# Files of other kinds, by name.
OTHERS = {
    "files/{file}": "a published file, unchanged; its size and checksum agree with the data-set "
    "table",
    "weights.safetensors": "parameters and buffers of a trained model, float32, by name; none for "
    "a failed run",
    "run.json": "status (trained or failed), reason, family, hyperparameters, input, training, "
    "share of labels seen, n_vars (genes of the data set), n_counts (genes whose counts the model "
    "explains), conditions and classes (names, in order), SHA-256 of the weights, provenance",
    "headline.txt, headline.html": "the headline table as text and as a page",
    "figures/{figure}/{subject}.svg, .pdf, .html, .ipynb": "a figure for screen and print, or a "
    "page, and the executed notebook",
    "exports/{table}.parquet": "the table of that kind as Parquet; provenance in the metadata of "
    "its schema",
    "configuration.yaml": "the effective configuration",
    "overview.rst": "the first page of the report; its first paragraph, a comment, is the "
    "provenance",
    "report.html": "Snakemake's report",
    "paper.pdf": "the paper, made from the results by the template in workflow/paper",
}


def fingerprint(*kinds: str) -> str:
    """Return a short hash of the form of some kinds of files.

    Two contracts have the same fingerprint if they have the same slots or columns, in the same
    order, with the same types. Meanings are left out. A rule that takes the fingerprint as a
    parameter therefore runs again if a change of a contract makes its results stale.

    Parameters
    ----------
    kinds
        Keys of `MATRICES` or `TABLES`.

    Returns
    -------
    str
        16 hexadecimal digits.

    Raises
    ------
    KeyError
        If a kind is unknown.
    """
    forms = {}
    for kind in kinds:
        if kind in MATRICES:
            rows = [(slot.path, slot.form, slot.optional) for slot in MATRICES[kind]]
        else:
            columns = TABLES[kind].items()
            rows = [(name, column.type, column.optional) for name, column in columns]
        forms[kind] = rows
    return hashlib.sha256(json.dumps(forms, sort_keys=True).encode()).hexdigest()[:16]


def as_markdown() -> str:
    """Return all contracts as Markdown."""
    files = [(f"`{name}`", holds) for name, holds in OTHERS.items()]
    parts = [_markdown_table("Other files", ("file", "holds"), files)]
    for kind, slots in MATRICES.items():
        rows = [_row(slot.path, slot.form, slot) for slot in slots]
        title = f"`{kind}` (AnnData, .h5ad)"
        parts.append(_markdown_table(title, ("slot", "form", "meaning"), rows))
    for kind, columns in TABLES.items():
        rows = [_row(name, column.type, column) for name, column in columns.items()]
        title = f"`{kind}` (table, .tsv)"
        parts.append(_markdown_table(title, ("column", "type", "meaning"), rows))
    return "\n".join(parts)


def _row(name: str, form: str, entry: Slot | Column) -> tuple[str, str, str]:
    """Return the cells of a slot or a column in a Markdown table."""
    return f"`{name}`", f"{form}{', may be missing' if entry.optional else ''}", entry.meaning


def _markdown_table(title: str, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [f"### {title}", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows), ""])
