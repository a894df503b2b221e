"""A page on which the latent space of each model can be turned around, in three dimensions."""

from pathlib import Path

import anndata as ad
import plotly.graph_objects as go

from sclatent.figures.latent_space import shown_seed
from sclatent.figures.style import looks_of
from sclatent.io.atomic import replacing

MOST_DRAWN = 3_000  # cells of a map, evenly spread; more would make the page heavy
SYMBOLS = {"o": "circle", "^": "diamond", "s": "square", "D": "diamond-open", "v": "cross"}


def latent_space_3d(
    datasets: dict[str, str], models: dict[str, str], maps: dict[str, ad.AnnData]
) -> go.Figure:
    """Return a page with one map at a time, chosen from a list: three-dimensional t-SNE, coloured by cell type.

    datasets, models: titles by name. maps: files of the kind "embedding" by "<data set>/<model>"; models of which every seed
    failed are not in the list.
    """
    figure, choices = go.Figure(), {}
    for key, adata in maps.items():
        seed, (dataset, model) = shown_seed(adata), key.split("/")
        if seed is None:
            continue
        step = -(-adata.n_obs // MOST_DRAWN)
        points, labels = (
            adata.obsm[f"tsne_3d_seed_{seed}"][::step],
            adata.obs["cell_type"].to_numpy()[::step],
        )
        before = len(figure.data)
        for name, (color, marker) in looks_of(adata.obs["cell_type"].cat.categories).items():
            x, y, z = points[labels == name].T
            style = {"size": 2.5, "color": color, "symbol": SYMBOLS[marker]}
            figure.add_scatter3d(
                x=x,
                y=y,
                z=z,
                mode="markers",
                name=name,
                marker=style,
                visible=not choices,
                hoverinfo="name",
            )
        choices[f"{datasets[dataset]}: {models[model]}, seed {seed}"] = range(
            before, len(figure.data)
        )
    buttons = [
        {
            "label": label,
            "method": "update",
            "args": [{"visible": [i in chosen for i in range(len(figure.data))]}],
        }
        for label, chosen in choices.items()
    ]
    axis = {"showticklabels": False, "title": ""}
    figure.update_layout(
        updatemenus=[{"buttons": buttons, "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"}]
        if buttons
        else [],
        scene={"xaxis": axis, "yaxis": axis, "zaxis": axis},
        legend={"orientation": "h", "itemsizing": "constant"},
        margin={"l": 0, "r": 0, "t": 60, "b": 0},
        template="plotly_white",
    )
    return figure


def save_page(figure: go.Figure, path: str | Path, provenance: str) -> None:
    """Write a page that needs no network, with its provenance in a comment."""
    settings = {"displayModeBar": False, "responsive": True}
    page = figure.to_html(
        include_plotlyjs=True, div_id="maps", default_height="95vh", config=settings
    )
    with replacing(path) as temporary:
        temporary.write_text(f"{page}\n<!-- {provenance} -->\n")
