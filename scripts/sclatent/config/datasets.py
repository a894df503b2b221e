"""Data sets: where their files come from, how to read them, which cells and genes stay."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from sclatent.common.errors import nearest
from sclatent.config.base import Name, Section, Title
from sclatent.config.formats import LABELLED, ROLES, SUFFIXES

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Url = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]
FileName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*(/[A-Za-z0-9][A-Za-z0-9_.+-]*)*$")
]
# Top-level packages only: Python would import a package to find one inside it.
Package = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
Label = Literal["cell_type", "condition", "batch"]
Flavor = Literal["seurat", "cell_ranger", "seurat_v3"]
Value = str | int | float | bool  # a value of a column; compared as text
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class File(Section):
    """A file of a data set: your own, a published one, or one that a Python package contains."""

    path: str | None = Field(
        default=None,
        description="your own file or folder, in the folder where you run snakemake or in a data "
        "directory",
    )
    name: FileName | None = Field(
        default=None,
        description="name of a published file in a data directory, or inside the package",
    )
    urls: list[Url] = Field(
        default=[], description="addresses of a published file, tried in this order"
    )
    package: Package | None = Field(
        default=None, description="installed Python package that contains the file"
    )
    size: int | None = Field(
        default=None,
        ge=1,
        description="size in bytes, checked whenever the file is fetched; null: no check",
    )
    sha256: Sha256 | None = Field(
        default=None,
        description="SHA-256 of the file, checked whenever it is fetched; null: no check",
    )
    content_md5: Md5 | None = Field(
        default=None,
        description="MD5 of the content of a gzip file, checked whenever it is fetched; null: no "
        "check",
    )

    @model_validator(mode="after")
    def _has_one_origin(self):
        if (self.path is None) == (self.name is None):
            raise ValueError(
                "a file has either a path, if it is your own, or a name, if it is published"
            )
        if self.path is not None and set(self.path) & set("{}"):
            raise ValueError(
                f"the path '{self.path}' has a brace, which Snakemake takes for a wildcard; rename "
                "the file"
            )
        if self.path is not None and self != File.model_construct(path=self.path):
            raise ValueError("a file with a path is your own, and takes no other key")
        if self.package is not None and self.urls:
            raise ValueError("a file comes from a package or from urls, not from both")
        return self


class Columns(Section):
    """Names of columns in `obs` or in the annotation table; `gene` is a column of `var`."""

    cell_type: str | None = Field(
        default=None, description="column with the cell type of each cell"
    )
    condition: str | None = Field(
        default=None, description="column with the condition of each cell, such as the treatment"
    )
    batch: str | None = Field(
        default=None, description="column with the batch of each cell, such as the donor"
    )
    gene: str | None = Field(
        default=None, description="column with the gene symbols; null: the names of the genes"
    )


class QualityControl(Section):
    """Which cells and genes stay: first cells by min_genes, then genes, then cells by the rest.

    A threshold of null filters nothing.
    """

    min_genes: int | None = Field(
        default=None, ge=0, description="keep cells with at least this many detected genes"
    )
    max_genes: int | None = Field(
        default=None, ge=1, description="keep cells with fewer detected genes than this"
    )
    min_cells: int | None = Field(
        default=None, ge=0, description="keep genes that are detected in at least this many cells"
    )
    max_percent_mito: float | None = Field(
        default=None,
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
    """Z-scores of the genes, with mean and standard deviation of training cells.

    A constant gene is only centred.
    """

    max_value: float | None = Field(
        default=None, gt=0, description="clip z-scores at this distance from zero; null: no clip"
    )


class Holdout(Section):
    """Cells that gene selection, scaling, balancing and training never see.

    They are a random share of all cells, all cells with some labels, or treated cells.
    """

    share: float | None = Field(
        default=None, gt=0, lt=1, description="share of the cells, drawn at random"
    )
    stratify: list[Label] = Field(
        default=[], description="draw the same share from each combination of these labels"
    )
    seed: Seed = Field(default=0, description="seed of the draw")
    cells: dict[Label, list[Value]] | None = Field(
        default=None,
        description="hold out the cells that have one of the given values in every given label, "
        "such as {cell_type: [B]}",
    )
    treated: list[Value] = Field(
        default=[], description="hold out the cells of these cell types that are not of the control"
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
        """The labels that decide which cells are held out."""
        treated = {"cell_type", "condition"} if self.treated else set()
        return {*self.stratify, *(self.cells or {}), *treated}


class Balance(Section):
    """Training cells drawn with replacement, the same number from each group.

    The cells of the data set itself stay as they are.
    """

    by: Literal["cell_type", "condition", "batch", "louvain"] = Field(
        description="groups: a label, or Louvain clusters of the training cells, which use no label"
    )
    n: int = Field(ge=1, description="number of cells drawn from each group")
    augment: bool = Field(
        default=False,
        description="train on all training cells and on the drawn cells; false: on the drawn",
    )
    noise: float = Field(
        default=0,
        ge=0,
        description="standard deviation of Gaussian noise added to every value of the drawn cells",
    )
    standardize: bool = Field(
        default=False,
        description="subtract from each gene its mean over the drawn cells and divide by its "
        "standard deviation; models see all cells in these units",
    )
    seed: Seed = Field(default=0, description="seed of the draw and of the noise")


class Clusters(Section):
    """Louvain clusters of the data set itself: variable genes, scaling, PCA, neighbour graph.

    The defaults are those of the PBMC3k report.
    """

    n_top_genes: int | None = Field(
        default=2000, ge=1, description="number of highly variable genes; null: all genes"
    )
    flavor: Flavor = Field(default="seurat_v3", description="scanpy's method of gene selection")
    scale: bool = Field(default=True, description="scale each gene to unit variance and clip at 10")
    n_pcs: int = Field(default=10, ge=2, description="number of principal components")
    n_neighbors: int = Field(default=20, ge=2, description="neighbours per cell in the graph")
    resolution: float = Field(default=0.5, gt=0, description="resolution of Louvain")


class Blobs(Section):
    """Two conditions of Gaussian classes, whose answers are known (format: blobs)."""

    n_vars: int = Field(default=16, ge=1, description="number of dimensions")
    n_classes: int = Field(
        default=5, ge=2, description="number of classes; each is a Gaussian with its own mean"
    )
    n_cells: int = Field(default=350, ge=2, description="number of cells per class and condition")
    effect: float = Field(
        default=1.2, gt=0, description="shift of the mean of each dimension between the conditions"
    )
    seed: Seed = Field(default=0, description="seed of the draw")


class Dataset(Section):
    """One data set: its files, how to read them, which cells and genes stay, what is held out."""

    extends: Name | None = Field(
        default=None,
        description="data set whose settings this one starts from; the keys of this one replace "
        "them",
    )
    title: Title = Field(
        description="name in figures and tables; a data set with extends can leave it out"
    )
    files: dict[str, File] = Field(
        default={},
        description="files by role: counts and annotation, or those that the format needs",
    )
    # pyright cannot read names from ROLES, which is the one list of them.
    format: Literal[tuple(ROLES)] = Field(  # pyright: ignore[reportInvalidTypeForm]
        description="how to read the files; if it is missing, the name of the counts tells it"
    )
    layer: str | None = Field(
        default=None, description="for h5ad: layer with the counts, or raw; null: X"
    )
    columns: Columns = Field(default=Columns(), description="names of the columns with labels")
    control: str | None = Field(
        default=None,
        description="value of the condition that is the control; null: there is no control",
    )
    keep: dict[str, list[Value]] = Field(
        default={}, description="keep only cells with these values, by column"
    )
    drop: dict[str, list[Value]] = Field(
        default={}, description="drop cells with these values, by column"
    )
    drop_unlabelled: bool = Field(
        default=False,
        description="drop cells that pass quality control but have no label; false: refuse them",
    )
    labels: Literal["annotated", "derived"] = Field(
        default="annotated",
        description="where cell types come from. annotated: a column; derived: Louvain clusters "
        "(see clusters), which titles then say",
    )
    blobs: Blobs | None = Field(default=None, description="parameters of the format blobs")
    qc: QualityControl = Field(default=QualityControl(), description="quality control")
    normalization: Literal["log", "unit", "none"] = Field(
        default="log",
        description="log: log(1 + x) of counts scaled to target_sum per cell; unit: 8-bit images "
        "divided by 255; none: values as they are",
    )
    target_sum: float = Field(
        default=1e4, gt=0, description="total of each cell before the logarithm"
    )
    n_top_genes: int | None = Field(
        default=None, ge=1, description="keep this many highly variable genes; null: all genes"
    )
    flavor: Flavor = Field(default="seurat", description="scanpy's method of gene selection")
    scale: Scale | None = Field(default=None, description="z-scores of the genes; null: not scaled")
    holdout: Holdout | None = Field(
        default=None,
        description="which cells to hold out; null: the test set of the source, if it has one",
    )
    balance: Balance | None = Field(
        default=None,
        description="train on balanced groups; null: on the training cells as they are",
    )
    clusters: Clusters = Field(
        default=Clusters(), description="Louvain clusters of the data set itself"
    )

    @model_validator(mode="before")
    @classmethod
    def _format_from_name(cls, raw: Any):
        """Fill in a format that is missing, by the name of the counts."""
        if not isinstance(raw, dict) or "format" in raw:
            return raw
        files = raw.get("files")
        counts = files.get("counts") if isinstance(files, dict) else None
        path = counts.get("path") or counts.get("name") if isinstance(counts, dict) else None
        name = path.lower() if isinstance(path, str) else ""
        for known, suffixes in SUFFIXES.items():
            if name.endswith(suffixes):
                return {**raw, "format": known}
        if name and "." not in name.rstrip("/").rsplit("/", 1)[-1]:  # a folder
            return {**raw, "format": "10x_mtx"}
        return raw

    @model_validator(mode="after")
    def _fits_together(self):
        self._check_files()
        self._check_labels()
        if self.format == "blobs" and self.normalization != "none":
            raise ValueError("format blobs needs normalization: none, as its values are no counts")
        if self.n_top_genes is not None and self.normalization != "log":
            raise ValueError(
                "n_top_genes needs normalization: log, as variable genes are found on logarithms"
            )
        if self.layer is not None and self.format != "h5ad":
            raise ValueError(f"layer is for format h5ad, but the format is {self.format}")
        if self.blobs is not None and self.format != "blobs":
            raise ValueError(f"blobs is for format blobs, but the format is {self.format}")
        return self

    def _check_files(self) -> None:
        """Refuse files that the format does not take, and a format whose files are missing."""
        needed = ROLES[self.format]
        annotated = "counts" in needed and self.format not in LABELLED
        allowed = needed | ({"annotation"} if annotated else set())
        if unknown := set(self.files) - allowed:
            hint = nearest(min(unknown), allowed) if allowed else ""
            raise ValueError(f"format {self.format} takes no files.{min(unknown)}{hint}")
        if missing := needed - set(self.files):
            raise ValueError(f"format {self.format} needs files.{min(missing)}")

    def _check_labels(self) -> None:
        """Refuse settings that use labels which the data set does not have."""
        own_labels = self.format in LABELLED
        if own_labels and self.labels == "derived":
            raise ValueError(f"format {self.format} names its cell types itself; leave labels out")
        if self.labels == "annotated" and not own_labels and self.columns.cell_type is None:
            raise ValueError(
                "give columns.cell_type, the column with the cell types, or labels: derived if "
                "there is none"
            )
        if self.labels == "derived" and self.columns.cell_type is not None:
            raise ValueError(
                "labels: derived takes the place of columns.cell_type; give one of the two"
            )
        if own_labels and (self.columns != Columns() or self.control is not None):
            raise ValueError(
                f"format {self.format} names its labels itself; leave columns and control out"
            )
        if self.labels == "derived":
            self._check_derived_labels()
        groups = {*self.known_labels, "louvain"}
        if self.balance is not None and not own_labels and self.balance.by not in groups:
            raise ValueError(
                f"balance.by is {self.balance.by}, but columns.{self.balance.by} names no column"
            )
        if (self.columns.condition is None) != (self.control is None):
            raise ValueError(
                "columns.condition and control go together: the column, and its value that is the "
                "control"
            )
        if self.holdout is not None and self.holdout.treated and not self.has_treatment:
            raise ValueError("holdout.treated needs columns.condition and control")

    def _check_derived_labels(self) -> None:
        """Refuse derived labels in training: they are clusters of all cells, held out or not."""
        if self.balance is not None and self.balance.by == "cell_type":
            raise ValueError(
                "balance.by cannot be cell_type, because labels are derived from all cells; use "
                "louvain"
            )
        if self.holdout is not None and "cell_type" in self.holdout.labels:
            raise ValueError(
                "holdout cannot name cell_type, because labels are derived after cells are held out"
            )

    @property
    def known_labels(self) -> set[str]:
        """Which of cell_type, condition and batch the cells have."""
        if self.format in LABELLED:
            return {"cell_type", "condition"} if self.format == "blobs" else {"cell_type"}
        columns = self.columns
        optional = {"condition": columns.condition, "batch": columns.batch}
        return {"cell_type", *(label for label, column in optional.items() if column is not None)}

    @property
    def holds_out(self) -> bool:
        """Whether some cells are held out, by the settings or by the test set of the source."""
        return self.holdout is not None or "test_images" in self.files

    @property
    def has_treatment(self) -> bool:
        """Whether cells have conditions, one of them the control."""
        return self.control is not None or self.format == "blobs"

    def without_treated(self, cell_type: str) -> "Dataset":
        """Return this data set with the treated cells of one type held out, and no others."""
        title = f"{self.title}, treated {cell_type} held out"
        return self.model_copy(update={"title": title, "holdout": Holdout(treated=[cell_type])})

    def differing_unit(self, other: "Dataset") -> str | None:
        """Return the first setting that gives values of two data sets different units, or None."""
        units, others = self._units(), other._units()
        return next((key for key in units if units[key] != others[key]), None)

    def _units(self) -> dict[str, Any]:
        """Return the settings that decide the unit of the values."""
        standardized = self.balance is not None and self.balance.standardize
        settings = {key: getattr(self, key) for key in ("normalization", "target_sum", "scale")}
        return settings | {"balance.standardize": standardized}


def name_without_treated(name: str, cell_type: str) -> str:
    """Return the name of a data set without its treated cells of a type, safe in paths."""
    return f"{name}.without_{re.sub('[^A-Za-z0-9]+', '_', cell_type)}"
