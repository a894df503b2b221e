"""The data-set table: where a data set comes from, how it is read, which cells and genes stay, what is held out."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from sclatent.config.base import Section, Title
from sclatent.config.formats import LABELLED, ROLES, SUFFIXES

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
FileName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*(/[A-Za-z0-9][A-Za-z0-9_.+-]*)*$")
]
Package = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
]  # one in another would be imported to be found
Label = Literal["cell_type", "condition", "batch"]
Flavor = Literal["seurat", "cell_ranger", "seurat_v3"]
Value = str | int | float | bool  # of a column; compared as text
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class File(Section):
    """A file of a data set: your own by its path, a published one by its name and URLs, or one that a package ships."""

    path: str | None = Field(
        None, description="your own file or folder, where snakemake is run or in a data directory"
    )
    name: FileName | None = Field(
        None, description="name of a published file in a data directory, or inside the package"
    )
    urls: list[Url] = Field(
        [], description="where a published file is downloaded from, tried in this order"
    )
    package: Package | None = Field(
        None, description="installed Python package that ships the file"
    )
    size: int | None = Field(
        None, ge=1, description="bytes of the file, checked whenever it is fetched"
    )
    sha256: Sha256 | None = Field(
        None, description="SHA-256 of the file, checked whenever it is fetched"
    )
    content_md5: Md5 | None = Field(
        None, description="MD5 of what a gzip file holds, checked whenever it is fetched"
    )

    @model_validator(mode="after")
    def _has_one_origin(self):
        if (self.path is None) == (self.name is None):
            raise ValueError(
                "a file has either a path, if it is your own, or a name, if it is published"
            )
        if self.path is not None and set(self.path) & set("{}"):
            raise ValueError(
                f"the path '{self.path}' has a brace, which Snakemake takes for a wildcard; rename the file"
            )
        if self.path is not None and self != File.model_construct(path=self.path):
            raise ValueError("a file with a path is your own, and takes no other key")
        if self.package is not None and self.urls:
            raise ValueError("a file comes from a package or from urls, not from both")
        return self


class Columns(Section):
    """Which columns of the source hold what; those of obs or of the annotation table, gene of var."""

    cell_type: str | None = Field(None, description="column with the cell type of each cell")
    condition: str | None = Field(
        None, description="column with the condition, such as the treatment, of each cell"
    )
    batch: str | None = Field(
        None, description="column with the batch, such as the donor, of each cell"
    )
    gene: str | None = Field(
        None, description="column with gene symbols; the names of the genes where left out"
    )


class QualityControl(Section):
    """Which cells and genes stay; a threshold left out filters nothing. Cells first by min_genes, then genes, then the rest."""

    min_genes: int | None = Field(
        None, ge=0, description="keep cells with at least this many detected genes"
    )
    max_genes: int | None = Field(
        None, ge=1, description="keep cells with fewer detected genes than this"
    )
    min_cells: int | None = Field(
        None, ge=0, description="keep genes detected in at least this many cells"
    )
    max_percent_mito: float | None = Field(
        None,
        gt=0,
        le=100,
        description="keep cells with a lower share of mitochondrial counts than this, in percent",
    )

    @model_validator(mode="after")
    def _some_cell_can_pass(self):
        if (
            self.min_genes is not None
            and self.max_genes is not None
            and self.min_genes >= self.max_genes
        ):
            raise ValueError(
                f"min_genes ({self.min_genes}) must be below max_genes ({self.max_genes})"
            )
        return self


class Scale(Section):
    """Each gene less its mean, by its standard deviation, both over training cells; a constant gene is only centred."""

    max_value: float | None = Field(
        None, gt=0, description="clip scaled values to at most this far from zero"
    )


class Holdout(Section):
    """Cells kept from gene selection, scaling, balancing and training: a random share, all of some labels, or treated cells."""

    share: float | None = Field(None, gt=0, lt=1, description="share of the cells, drawn at random")
    stratify: list[Label] = Field(
        [], description="draw the same share from each combination of these labels"
    )
    seed: Seed = Field(0, description="seed of the draw")
    cells: dict[Label, list[Value]] | None = Field(
        None,
        description="hold out the cells that have one of the given values in every label named, as {cell_type: [B]}",
    )
    treated: list[Value] = Field(
        [], description="hold out the cells of these cell types that are not of the control"
    )

    @model_validator(mode="after")
    def _is_one_kind(self):
        given = [key for key in ("share", "cells", "treated") if getattr(self, key)]
        if len(given) != 1:
            raise ValueError("give either share or cells or treated")
        if given != ["share"] and self != Holdout.model_construct(
            **{given[0]: getattr(self, given[0])}
        ):
            raise ValueError(f"{given[0]} takes no other key beside it")
        return self

    @property
    def labels(self) -> set[str]:
        """The labels that it needs to know."""
        return {
            *self.stratify,
            *(self.cells or {}),
            *(["cell_type", "condition"] if self.treated else []),
        }


class Balance(Section):
    """Training cells drawn with replacement, as many of each group; the cells of the data set stay as they are."""

    by: Literal["cell_type", "condition", "batch", "louvain"] = Field(
        description="groups: a label, or Louvain clusters of the training cells, which use no label"
    )
    n: int = Field(ge=1, description="cells drawn from each group")
    augment: bool = Field(
        False, description="train on all training cells and, beside them, on those drawn"
    )
    noise: float = Field(
        0,
        ge=0,
        description="standard deviation of Gaussian noise added to every value of the balanced cells",
    )
    standardize: bool = Field(
        False,
        description="centre each gene of the balanced cells and divide it by its deviation; models see all cells so",
    )
    seed: Seed = Field(0, description="seed of the draw and of the noise")


class Clusters(Section):
    """Louvain clusters of the data themselves: variable genes, scaling, PCA, graph. The defaults are the PBMC3k report's."""

    n_top_genes: int | None = Field(
        2000, ge=1, description="highly variable genes; all genes where none"
    )
    flavor: Flavor = Field("seurat_v3", description="scanpy's flavour of gene selection")
    scale: bool = Field(True, description="scale each gene to unit variance, clipped at 10")
    n_pcs: int = Field(10, ge=2, description="principal components")
    n_neighbors: int = Field(20, ge=2, description="neighbours in the graph")
    resolution: float = Field(0.5, gt=0, description="resolution of Louvain")


class Blobs(Section):
    """Two conditions of Gaussian classes, for tests with known answers (format: blobs)."""

    n_vars: int = Field(16, ge=1, description="dimensions")
    n_classes: int = Field(5, ge=2, description="classes, each a Gaussian with its own mean")
    n_cells: int = Field(350, ge=2, description="cells of each class and condition")
    effect: float = Field(
        1.2, gt=0, description="mean shift of each dimension between the conditions"
    )
    seed: Seed = Field(0, description="seed of the draw")


class Dataset(Section):
    """One data set: its files, how to read them, which cells and genes stay, how values are normalised, what is held out."""

    title: Title = Field(description="name shown in figures and tables")
    files: dict[str, File] = Field(
        {}, description="files by role: counts and annotation, or those that the format needs"
    )
    format: Literal[tuple(ROLES)] = Field(
        description="how the files are read; told from the name of the counts where left out"
    )
    layer: str | None = Field(
        None, description="h5ad: the layer with the counts, or raw; X where left out"
    )
    columns: Columns = Field(Columns(), description="which columns hold what")
    control: str | None = Field(None, description="the level of the condition that is the control")
    keep: dict[str, list[Value]] = Field(
        {}, description="keep only cells with these values, by column"
    )
    drop: dict[str, list[Value]] = Field({}, description="drop cells with these values, by column")
    drop_unlabelled: bool = Field(
        False,
        description="drop cells that pass quality control without a label, instead of refusing the data",
    )
    labels: Literal["annotated", "derived"] = Field(
        "annotated",
        description="derived: Louvain clusters (see clusters) stand for cell types, and titles say so",
    )
    blobs: Blobs | None = Field(None, description="parameters of format blobs")
    qc: QualityControl = Field(QualityControl(), description="quality control")
    normalization: Literal["log", "unit", "none"] = Field(
        "log",
        description="log: counts scaled to target_sum a cell, then log(1 + x); unit: 8-bit images by 255; none: as is",
    )
    target_sum: float = Field(1e4, gt=0, description="total of each cell before the logarithm")
    n_top_genes: int | None = Field(
        None, ge=1, description="keep this many highly variable genes; all where left out"
    )
    flavor: Flavor = Field("seurat", description="scanpy's flavour of gene selection")
    scale: Scale | None = Field(None, description="scale each gene; not scaled where left out")
    holdout: Holdout | None = Field(
        None, description="what is held out; the source's own test set, if any, where left out"
    )
    balance: Balance | None = Field(
        None, description="train on balanced groups; on training cells as they are where left out"
    )
    clusters: Clusters = Field(Clusters(), description="the data set's own Louvain clusters")

    @model_validator(mode="before")
    @classmethod
    def _tell_format(cls, raw: Any):
        if not isinstance(raw, dict) or "format" in raw:
            return raw
        counts = (
            raw.get("files", {}).get("counts", {}) if isinstance(raw.get("files", {}), dict) else {}
        )
        name = (
            str(counts.get("path") or counts.get("name") or "") if isinstance(counts, dict) else ""
        )
        told = [known for known, suffixes in SUFFIXES.items() if name.lower().endswith(suffixes)]
        if not told and name and "." not in name.rstrip("/").rsplit("/", 1)[-1]:
            told = ["10x_mtx"]
        return {**raw, "format": told[0]} if told else raw

    @model_validator(mode="after")
    def _fits_together(self):
        roles = ROLES[self.format]
        allowed = roles | (
            {"annotation"} if "counts" in roles and self.format not in LABELLED else set()
        )
        if missing := roles - set(self.files):
            raise ValueError(f"format {self.format} needs files.{min(missing)}")
        if unknown := set(self.files) - allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise ValueError(
                f"format {self.format} takes no files.{min(unknown)}; it takes: {known}"
            )
        own_labels = self.format in LABELLED
        if own_labels and self.labels == "derived":
            raise ValueError(f"format {self.format} names its cell types itself; leave labels out")
        if self.labels == "annotated" and not own_labels and self.columns.cell_type is None:
            raise ValueError(
                "give columns.cell_type, the column with the cell types, or labels: derived if there is none"
            )
        if self.labels == "derived" and self.columns.cell_type is not None:
            raise ValueError(
                "labels: derived takes the place of columns.cell_type; give one of the two"
            )
        if own_labels and (self.columns != Columns() or self.control is not None):
            raise ValueError(
                f"format {self.format} names its labels itself; leave columns and control out"
            )
        self._check_derived_labels()
        known = {
            "cell_type",
            "louvain",
            *(
                label
                for label in ("condition", "batch")
                if getattr(self.columns, label) is not None
            ),
        }
        if self.balance is not None and not own_labels and self.balance.by not in known:
            raise ValueError(
                f"balance.by is {self.balance.by}, but columns.{self.balance.by} names no column"
            )
        if self.format == "blobs" and self.normalization != "none":
            raise ValueError("format blobs needs normalization: none, as its values are no counts")
        if (self.columns.condition is None) != (self.control is None):
            raise ValueError(
                "columns.condition and control go together: the column, and its level that is the control"
            )
        if self.holdout is not None and self.holdout.treated and not self.has_treatment:
            raise ValueError("holdout.treated needs columns.condition and control")
        if self.n_top_genes is not None and self.normalization != "log":
            raise ValueError(
                "n_top_genes needs normalization: log, as variable genes are found on logarithms"
            )
        if self.layer is not None and self.format != "h5ad":
            raise ValueError(f"layer is for format h5ad, but the format is {self.format}")
        if self.blobs is not None and self.format != "blobs":
            raise ValueError(f"blobs is for format blobs, but the format is {self.format}")
        return self

    @property
    def holds_out(self) -> bool:
        """Whether some cells are held out, by the settings or by the source's own test set."""
        return self.holdout is not None or "test_images" in self.files

    @property
    def has_treatment(self) -> bool:
        """Whether cells have conditions, one of them the control."""
        return self.control is not None or self.format == "blobs"

    def _check_derived_labels(self) -> None:
        """Refuse uses of derived labels in training: they are clusters of all cells, those held out included."""
        if self.labels != "derived":
            return
        if self.balance is not None and self.balance.by == "cell_type":
            raise ValueError(
                "balance.by cannot be cell_type where labels are derived from all cells; use louvain"
            )
        if self.holdout is not None and "cell_type" in self.holdout.labels:
            raise ValueError(
                "holdout cannot name cell_type where labels are derived, as they are derived after it"
            )


def labels_of(dataset: Dataset) -> set[str]:
    """Return which of cell_type, condition and batch the cells of a data set have."""
    if dataset.format in LABELLED:
        return {"cell_type", "condition"} if dataset.format == "blobs" else {"cell_type"}
    return {"cell_type"} | {
        label for label in ("condition", "batch") if getattr(dataset.columns, label) is not None
    }


def without_treated(name: str, dataset: Dataset, cell_type: str) -> tuple[str, Dataset]:
    """Return name and settings of a data set whose treated cells of a type are held out, and no others."""
    holdout = Holdout(treated=[cell_type])
    settings = {"title": f"{dataset.title}, treated {cell_type} held out", "holdout": holdout}
    return f"{name}.without_{re.sub('[^A-Za-z0-9]+', '_', cell_type)}", dataset.model_copy(
        update=settings
    )


def differing_units(one: Dataset, other: Dataset) -> str | None:
    """Return the first setting by which the values of two data sets are in different units, None where they are in one."""

    def units(dataset: Dataset) -> dict:
        standardized = dataset.balance is not None and dataset.balance.standardize
        settings = {key: getattr(dataset, key) for key in ("normalization", "target_sum", "scale")}
        return settings | {"balance.standardize": standardized}

    return next((key for key, value in units(one).items() if value != units(other)[key]), None)
