"""Studies: data sets x models x seeds, and how their results are evaluated."""

from typing import Annotated, Literal

from pydantic import Field

from sclatent.config.base import Name, Section, Title


class Embedding(Section):
    """Two- and three-dimensional maps of the latents."""

    perplexity: float = Field(default=40.0, gt=0, description="perplexity of t-SNE")
    max_iter: int = Field(default=1000, ge=250, description="iterations of t-SNE")
    n_neighbors: int = Field(default=15, ge=2, description="neighbours per cell in UMAP")
    sample: bool = Field(
        default=False,
        description="also map one random draw of the latent by t-SNE, as the PBMC3k report does, "
        "and score k-means on that map",
    )


class Clustering(Section):
    """Clusters of the latents: k-means, Louvain and Leiden."""

    n_init: int = Field(default=100, ge=1, description="starts of k-means; the best one is kept")
    n_neighbors: int = Field(
        default=15,
        ge=2,
        description="neighbours per cell in the graph that Louvain and Leiden cluster",
    )
    resolution: float = Field(default=1.0, gt=0, description="resolution of Louvain and Leiden")


class Perturbation(Section):
    """Prediction of treated cells, on data sets with a control."""

    cell_types: list[str] = Field(
        default=[],
        description="cell types to predict: for each in turn, its treated cells are held out and "
        "then predicted",
    )
    in_sample: bool = Field(
        default=True,
        description="also predict treated cells with models that saw treated cells of all types, "
        "as the thesis does",
    )


class Study(Section):
    """Data sets x models x seeds, evaluated in the same way and compared in one table."""

    title: Title = Field(description="title in the report")
    datasets: list[Name] = Field(min_length=1, description="names of data sets")
    models: list[Name] = Field(min_length=1, description="names of models")
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(
        min_length=1, description="random seeds; each model is trained once per seed"
    )
    evaluations: list[Literal["clustering", "generation", "perturbation"]] = Field(
        default=["clustering", "generation"],
        min_length=1,
        description="what to score: clusters of the latents, which are also mapped; generated "
        "cells; predicted treated cells",
    )
    cells: Literal["all", "held_out"] = Field(
        default="all",
        description="cells whose latents are kept, mapped, clustered and scored: all cells, or "
        "only those held out, which is faster if the data set is large",
    )
    embedding: Embedding = Field(default=Embedding(), description="how to map the latents")
    clustering: Clustering = Field(default=Clustering(), description="how to cluster the latents")
    perturbation: Perturbation = Field(
        default=Perturbation(), description="what to predict, if evaluations has perturbation"
    )
