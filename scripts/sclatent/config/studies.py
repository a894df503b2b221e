"""Studies: data sets x models x seeds, and how they are evaluated."""

from typing import Annotated, Literal

from pydantic import Field

from sclatent.config.base import Name, Section, Title


class Embedding(Section):
    """Two- and three-dimensional maps of the latents."""

    perplexity: float = Field(40.0, gt=0, description="perplexity of t-SNE")
    max_iter: int = Field(1000, ge=250, description="iterations of t-SNE")
    n_neighbors: int = Field(15, ge=2, description="neighbours of UMAP")
    sample: bool = Field(
        False,
        description="2-D t-SNE of one draw of the latent, too, which the PBMC3k report mapped; k-means on it is scored",
    )


class Clustering(Section):
    """k-means, Louvain and Leiden on the latents."""

    n_init: int = Field(100, ge=1, description="starts of k-means, of which the best is kept")
    n_neighbors: int = Field(
        15, ge=2, description="neighbours in the graph that Louvain and Leiden partition"
    )
    resolution: float = Field(1.0, gt=0, description="resolution of Louvain and Leiden")


class Perturbation(Section):
    """Prediction of treated cells, on data sets with a control."""

    cell_types: list[str] = Field(
        [], description="cell types whose treated cells are held out in turn and predicted"
    )
    in_sample: bool = Field(
        True,
        description="predict treated cells also where models have seen treated cells of all types, as the thesis does",
    )


class Study(Section):
    """Data sets x models x seeds, evaluated alike and compared in one table."""

    title: Title = Field(description="name shown in the report")
    datasets: list[Name] = Field(min_length=1, description="names of data sets")
    models: list[Name] = Field(min_length=1, description="names of models")
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(
        min_length=1, description="one training a seed"
    )
    evaluations: list[Literal["clustering", "generation", "perturbation"]] = Field(
        ["clustering", "generation"],
        min_length=1,
        description="what is scored: clusters of the latents, which are also mapped; generated cells; predicted treated cells",
    )
    split: Literal["all", "held_out"] = Field(
        "all",
        description="cells whose latents are kept, mapped, clustered and scored: all, or of large data those held out",
    )
    embedding: Embedding = Field(Embedding(), description="how its latents are mapped")
    clustering: Clustering = Field(Clustering(), description="how its latents are clustered")
    perturbation: Perturbation = Field(
        Perturbation(), description="what is predicted, if perturbation is among the evaluations"
    )
