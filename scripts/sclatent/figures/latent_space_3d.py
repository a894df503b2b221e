"""A page on which the latent space of each model can be turned, in three dimensions."""

import anndata as ad
import plotly.graph_objects as go

from sclatent.figures.cells import array_of, column_of
from sclatent.figures.latent_space import shown_seed
from sclatent.figures.style import looks_of
from sclatent.io.matrices import read_matrix

MOST_CELLS_OF_PAGE = 3_000  # drawn in a map, evenly spread; more would make the page heavy
SYMBOLS = {"o": "circle", "^": "diamond", "s": "square", "D": "diamond-open", "v": "cross"}


def draw(datasets: dict[str, str], models: dict[str, str], tsne: dict[str, str]) -> go.Figure:
    """Draw the page from files.

    Parameters
    ----------
    datasets, models
        Titles by name.
    tsne
        Files of the kind "embedding" by "<data set>/<model>".
    """
    maps = {key: read_matrix(path) for key, path in tsne.items()}
    return latent_space_3d(datasets, models, maps)


def latent_space_3d(
    datasets: dict[str, str], models: dict[str, str], maps: dict[str, ad.AnnData]
) -> go.Figure:
    """Draw a page with one map at a time, chosen from a list: t-SNE, coloured by cell type.

    Parameters
    ----------
    datasets, models
        Titles by name.
    maps
        AnnData of the kind "embedding" by "<data set>/<model>". A model is not in
        the list if every seed failed.
    """
    traces: list[go.Scatter3d] = []
    choices: dict[str, range] = {}  # the traces of each map by its title
    for key, adata in maps.items():
        seed, (dataset, model) = shown_seed(adata), key.split("/")
        if seed is None:
            continue
        first = len(traces)
        traces += _traces(adata, seed, visible=not choices)
        title = f"{datasets[dataset]}: {models[model]}, seed {seed}"
        choices[title] = range(first, len(traces))
    buttons = [
        {
            "label": title,
            "method": "update",
            "args": [{"visible": [i in chosen for i in range(len(traces))]}],
        }
        for title, chosen in choices.items()
    ]
    menu = {"buttons": buttons, "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom"}
    axis = {"showticklabels": False, "title": ""}
    figure = go.Figure(traces)
    figure.update_layout(
        updatemenus=[menu] if buttons else [],
        scene={"xaxis": axis, "yaxis": axis, "zaxis": axis},
        legend={"orientation": "h", "itemsizing": "constant"},
        margin={"l": 0, "r": 0, "t": 60, "b": 0},
        template="plotly_white",
    )
    return figure


def _traces(adata: ad.AnnData, seed: int, visible: bool) -> list[go.Scatter3d]:
    """Return the cells of a map as one trace per cell type."""
    step = -(-adata.n_obs // MOST_CELLS_OF_PAGE)
    cell_types = column_of(adata, "cell_type")
    points, labels = array_of(adata, f"tsne_3d_seed_{seed}")[::step], cell_types.to_numpy()[::step]
    traces = []
    for name, (color, marker) in looks_of(cell_types.cat.categories).items():
        x, y, z = points[labels == name].T
        traces.append(
            go.Scatter3d(
                x=x,
                y=y,
                z=z,
                mode="markers",
                name=name,
                marker={"size": 2.5, "color": color, "symbol": SYMBOLS[marker]},
                visible=visible,
                hoverinfo="name",
            )
        )
    return traces
