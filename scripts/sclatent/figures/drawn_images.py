"""The images that models expect for latents drawn from their prior."""

import math
import textwrap
from typing import NamedTuple, cast

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import sparse

from sclatent.common.vocabulary import ALL, UNNAMED
from sclatent.figures.cells import column_of
from sclatent.figures.style import STYLE, WIDTH, say, without_ticks
from sclatent.io.matrices import read_matrix

IMAGES_PER_ROW = 10
BLOCKS_PER_ROW = 2
# Inches: width of a picture, and the room on its left, above it and below it.
PICTURE_WIDTH, LABEL_WIDTH, TITLE_HEIGHT, GAP = 2.95, 0.5, 0.2, 0.15


class Block(NamedTuple):
    """What is drawn of a model."""

    rows: dict[str, np.ndarray]  # images (n, n_vars) by the label of their row
    absent: str  # why there are no images; empty if there are


class Place(NamedTuple):
    """Where the picture of a model stands, inches."""

    column: int
    top: float
    height: float


def draw(models: dict[str, str], drawn: dict[str, str], data: str) -> Figure:
    """Draw the figure from files.

    Parameters
    ----------
    models
        Titles by model.
    drawn
        Files of this kind by model.
    data
        File of the kind "preprocessed".
    """
    cells = {model: read_matrix(path) for model, path in drawn.items()}
    return drawn_images(models, cells, read_matrix(data))


def drawn_images(titles: dict[str, str], drawn: dict[str, ad.AnnData], real: ad.AnnData) -> Figure:
    """Draw a block per model: a row of real images of many types, and a row per component.

    Models without components have a row per type that they see, or two rows of any images.

    Parameters
    ----------
    titles
        By model.
    drawn
        AnnData of this kind by model, whose expected values are drawn.
    real
        AnnData of the kind "preprocessed". If its n_vars pixels make no square, the blocks are
        empty and say so.
    """
    samples = _real_row(real)
    is_square = math.isqrt(real.n_vars) ** 2 == real.n_vars
    blocks = {model: _block(drawn[model], samples, is_square) for model in titles}
    pictures = {
        model: _picture(list(block.rows.values())) if block.rows else np.zeros((1, 10))
        for model, block in blocks.items()
    }
    places, total = _places(pictures)
    with plt.rc_context(STYLE):
        figure = plt.figure(figsize=(WIDTH, total))
        for model, place in places.items():
            left = place.column * WIDTH / BLOCKS_PER_ROW + LABEL_WIDTH
            bottom = 1 - (place.top + place.height) / total
            axis = figure.add_axes(
                (left / WIDTH, bottom, PICTURE_WIDTH / WIDTH, place.height / total)
            )
            axis.spines[:].set_visible(False)
            rows, absent = blocks[model]
            if absent:
                axis.set_title(titles[model], pad=3)
                say(axis, textwrap.fill(absent, 60))
            else:
                axis.set_title(f"{titles[model]}, seed {drawn[model].uns['seed']}", pad=3)
                _show(axis, pictures[model], list(rows), samples.max())
    return figure


def _block(drawn: ad.AnnData, samples: np.ndarray, is_square: bool) -> Block:
    """Return what is drawn of a model; samples: real images (n, n_vars)."""
    absent = drawn.uns.get("absent", "" if is_square else "the images are not square")
    return Block({} if absent else {"real": samples, **_rows(drawn)}, absent)


def _places(pictures: dict[str, np.ndarray]) -> tuple[dict[str, Place], float]:
    """Put each picture below the shorter column; return their places and the height of all."""
    places, filled = {}, [0.0] * BLOCKS_PER_ROW
    for model, picture in pictures.items():
        column = int(np.argmin(filled))
        height = PICTURE_WIDTH * picture.shape[0] / picture.shape[1]
        places[model] = Place(column, filled[column] + TITLE_HEIGHT, height)
        filled[column] += TITLE_HEIGHT + height + GAP
    return places, max(filled)


def _real_row(real: ad.AnnData) -> np.ndarray:
    """Return real images (n, n_vars): the first of each type, then the second, and so on."""
    types = column_of(real, "cell_type").astype(str)
    rows = np.lexsort([types, types.groupby(types).cumcount()])[:IMAGES_PER_ROW]
    return cast(sparse.csr_matrix, real.X)[rows].toarray()


def _rows(drawn: ad.AnnData) -> dict[str, np.ndarray]:
    """Return images (n, n_vars) by the label of their row, in the order of the draws."""
    components, types = (column_of(drawn, name).astype(str) for name in ("component", "cell_type"))
    groups = list(zip(components, types, strict=True))
    expected = cast(np.ndarray, drawn.layers["expected"])
    kinds = list(dict.fromkeys(groups))
    if kinds == [(ALL, ALL)]:
        return {
            "drawn": expected[:IMAGES_PER_ROW],
            "": expected[IMAGES_PER_ROW : 2 * IMAGES_PER_ROW],
        }
    return {
        _row_label(*kind): expected[[group == kind for group in groups]][:IMAGES_PER_ROW]
        for kind in kinds
    }


def _row_label(component: str, cell_type: str) -> str:
    if component == ALL:
        return cell_type
    return component if cell_type == UNNAMED else f"{component}: {cell_type}"


def _picture(rows: list[np.ndarray]) -> np.ndarray:
    """Return rows of images (n, n_vars) as one picture, with gaps between the images."""
    side = math.isqrt(rows[0].shape[1])
    step = side + max(1, side // 10)
    picture = np.zeros((len(rows) * step, IMAGES_PER_ROW * step))
    for i, images in enumerate(rows):
        for j, image in enumerate(images):
            top, left = i * step, j * step
            picture[top : top + side, left : left + side] = image.reshape(side, side)
    return picture


def _show(axis: Axes, picture: np.ndarray, labels: list[str], largest: float) -> None:
    axis.imshow(picture, cmap="gray_r", vmin=0, vmax=largest, interpolation="nearest")
    without_ticks(axis)
    middles = (np.arange(len(labels)) + 0.45) * len(picture) / len(labels)
    axis.set_yticks(middles, labels)
    axis.tick_params(length=0, pad=1)
