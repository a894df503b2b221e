"""The images that models expect of latents drawn from their prior."""

import math
import textwrap

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sclatent.common.vocabulary import ALL, UNNAMED
from sclatent.figures.style import STYLE, WIDTH, say, without_ticks

PER_ROW = 10
COLUMNS = 2
PICTURE, LABEL, TITLE, GAP = (
    2.95,
    0.5,
    0.2,
    0.15,
)  # inches: width of a block, and what is left, above and below of it


def drawn_images(titles: dict[str, str], drawn: dict[str, ad.AnnData], real: ad.AnnData) -> Figure:
    """Draw one block a model: a row of real images, of as many types as there are, and a row for each component.

    Models without components have a row for each type that they were told, or two rows of any.

    titles: name to show by model. drawn: files of the kind "drawn" by model, whose expected values are drawn. real: file of the
    kind "preprocessed", whose n_vars pixels make a square.
    """
    samples, square = _real_row(real), math.isqrt(real.n_vars) ** 2 == real.n_vars
    absent = {
        model: drawn[model].uns.get("absent", "" if square else "the images are not square")
        for model in titles
    }
    rows = {
        model: {} if absent[model] else {"real": samples, **_rows(drawn[model])} for model in titles
    }
    pictures = {
        model: _picture(list(of_model.values())) if of_model else np.zeros((1, 10))
        for model, of_model in rows.items()
    }
    places, filled = {}, [0.0] * COLUMNS
    for model, picture in pictures.items():  # each block below the shorter column
        column, height = int(np.argmin(filled)), PICTURE * picture.shape[0] / picture.shape[1]
        places[model] = (column, filled[column] + TITLE, height)
        filled[column] += TITLE + height + GAP
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(WIDTH, max(filled)))
        for model, (column, top, height) in places.items():
            left = (column * WIDTH / COLUMNS + LABEL) / WIDTH
            axis = figure.add_axes(
                (left, 1 - (top + height) / max(filled), PICTURE / WIDTH, height / max(filled))
            )
            axis.set_title(
                titles[model]
                if absent[model]
                else f"{titles[model]}, seed {drawn[model].uns['seed']}",
                pad=3,
            )
            axis.spines[:].set_visible(False)
            if absent[model]:
                say(axis, textwrap.fill(absent[model], 60))
            else:
                _show(axis, pictures[model], list(rows[model]), samples.max())
    return figure


def _real_row(real: ad.AnnData) -> np.ndarray:
    """Return PER_ROW images (n, n_vars), the first of each type, then the second, and so on."""
    types = real.obs["cell_type"].astype(str)
    rows = np.lexsort([types, types.groupby(types).cumcount()])[:PER_ROW]
    return real.X[rows].toarray()


def _rows(drawn: ad.AnnData) -> dict[str, np.ndarray]:
    """Return images (n, n_vars) by the label of their row, in the order in which they were drawn."""
    groups = list(
        zip(drawn.obs["component"].astype(str), drawn.obs["cell_type"].astype(str), strict=True)
    )
    expected, kinds = drawn.layers["expected"], list(dict.fromkeys(groups))
    if kinds == [(ALL, ALL)]:
        return {"drawn": expected[:PER_ROW], "": expected[PER_ROW : 2 * PER_ROW]}
    return {
        _row_label(*kind): expected[[group == kind for group in groups]][:PER_ROW] for kind in kinds
    }


def _row_label(component: str, cell_type: str) -> str:
    if component == ALL:
        return cell_type
    return component if cell_type == UNNAMED else f"{component}: {cell_type}"


def _picture(rows: list[np.ndarray]) -> np.ndarray:
    """Return rows of images (n, n_vars) below each other as one picture, empty between them."""
    side = math.isqrt(rows[0].shape[1])
    step = side + max(1, side // 10)
    picture = np.zeros((len(rows) * step, PER_ROW * step))
    for y, images in enumerate(rows):
        for x, image in enumerate(images):
            picture[y * step : y * step + side, x * step : x * step + side] = image.reshape(
                side, side
            )
    return picture


def _show(axis: Axes, picture: np.ndarray, labels: list[str], largest: float) -> None:
    axis.imshow(picture, cmap="gray_r", vmin=0, vmax=largest, interpolation="nearest")
    without_ticks(axis)
    axis.set_yticks((np.arange(len(labels)) + 0.45) * len(picture) / len(labels), labels)
    axis.tick_params(length=0, pad=1)
