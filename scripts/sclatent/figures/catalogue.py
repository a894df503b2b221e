"""The words of each figure: its title, the question that it answers, and its caption.

The report, the paper and the executed notebooks show them. The module is read while a run is
planned, so it imports no library that draws.
"""

from typing import NamedTuple


class FigureText(NamedTuple):
    """The words of a figure."""

    title: str
    question: str
    caption: str


def _paragraph(text: str) -> str:
    return " ".join(text.split())


# By figure, in the order in which they are to be read. The module of this name draws the figure.
CATALOGUE = {
    "quality_control": FigureText(
        "Quality control",
        "Which cells and genes did quality control remove, and why?",
        _paragraph("""
            What quality control removed. The histograms show all cells of the source but those
            that the settings keep and drop exclude. Removed cells are orange. A threshold is a
            dashed line; it is left out if no cell comes near it. The number of cells is on a
            logarithmic scale. Genes are counted before any gene is removed. The table lists the
            steps in their order: what was removed, and how many cells and genes were left. Check a
            threshold again if it cuts through the bulk of a histogram.
        """),
    ),
    "training": FigureText(
        "Training",
        "How did the loss and its parts fall, and how long did each training take?",
        _paragraph("""
            How training went. Left: the loss of every seed by epoch; dashed lines show the loss of
            validation cells, if there are any. Middle: the other parts of the loss, without their
            weights, as the mean over seeds with the range that the seeds span. Right: seconds per
            training. Seeds whose curves separate found different optima. A loss that still falls
            at the end would have gained from more epochs. A divergence of 0 means that the latent
            is not used. Models that are fitted in one step have no curve.
        """),
    ),
    "latent_space": FigureText(
        "Latent spaces",
        "How does each model arrange the cells, and do clusters found without labels follow the "
        "cell types?",
        _paragraph("""
            The latent space of each model, for its seed of the lowest loss. From left to right:
            t-SNE with the true labels; the same map with the clusters of k-means, in the colours of
            the labels that they match best, with a cross at each centroid; three-dimensional t-SNE;
            UMAP; and, if cells have conditions, the UMAP by condition. Of large data sets at most
            10,000 cells are drawn, evenly spread. If neighbouring colours mix in the first map and
            share a cluster in the second, the model does not keep these cell types apart.
        """),
    ),
    "latent_space_3d": FigureText(
        "Latent spaces in 3-D",
        "How does each model arrange the cells, seen from all sides?",
        _paragraph("""
            The latent space of each model as a three-dimensional t-SNE that can be turned. Choose a
            data set and a model from the list, drag to turn, scroll to come closer, and click on a
            cell type to hide it. Each model is shown for its seed of the lowest loss. Of large data
            sets at most 3,000 cells are drawn, evenly spread.
        """),
    ),
    "latent_parts": FigureText(
        "Mean and sample, z and w",
        "What does the noise of the posterior cost, and what does each latent of a mixture hold?",
        _paragraph("""
            The latents of models whose posterior is a distribution, for the seed of the lowest
            loss: the mean beside one random draw. Mixtures also have the latent w, which moves the
            components, beside the latent z. Latents of two dimensions are drawn as they are, all
            others as UMAP. If the sample is blurred and the mean is sharp, much of the latent is
            noise. If cells have conditions, a second row shows them: a model that sees the
            condition should leave it out of the latent, so that the conditions overlap.
        """),
    ),
    "louvain": FigureText(
        "Louvain on PCA and on the latent",
        "Does Louvain find the cell types as well in principal components as in the latent of the "
        "same width?",
        _paragraph("""
            Louvain clusters of principal components beside those of the latent of equal width. Both
            are drawn on the same UMAP of the latent, for the seed of the lowest loss. A cluster has
            the colour of its most frequent cell type, and its number. The agreement with the labels
            is written above. Several clusters of one colour split a cell type. A colour that is
            missing is a cell type without a cluster of its own.
        """),
    ),
    "confusion": FigureText(
        "Clusters and cell types",
        "Which cell types share a cluster, and which are split?",
        _paragraph("""
            The share of each cell type (row, with its number of cells) that is in each cluster
            (column), for the seed of the lowest loss. Clusters are the components of mixtures, and
            k-means on the latent of all other models. Shares below 0.05 are not written. A column
            with two dark entries is a cluster that joins two cell types. A row with two dark
            entries is a cell type that is split.
        """),
    ),
    "score_heatmap": FigureText(
        "Scores",
        "How well do the clusters of each latent space agree with the cell types, and how much "
        "does that vary with the seed?",
        _paragraph("""
            Every measure of agreement with the labels: mean over seeds, with the standard deviation
            beside it. Rows marked (sample) cluster one random draw from the posterior instead of
            its mean: the gap between the two rows is the cost of the noise of the posterior. Rows
            marked (floor) are principal components. A model that does not exceed the floor of its
            width has learnt nothing beyond PCA. k-means on the t-SNE map is the protocol of the
            PBMC3k report and is shown only for comparison with it.
        """),
    ),
    "drawn_cells": FigureText(
        "Drawn cells",
        "Do the cells that a model draws lie among the real ones, and among those of the type that "
        "they were drawn for?",
        _paragraph("""
            Cells that each model draws from its prior, with the noise of its likelihood, among real
            cells. The map is a UMAP of the principal components of the real cells. Each model is
            shown for its seed of the lowest loss. From left to right, with all other cells pale:
            real cells by type; drawn cells by the type that they were drawn for, which is the type
            of most training cells of the component (black if they were drawn for no type); real and
            drawn cells; and, if the model sees conditions, drawn cells by condition. The scores
            beside each model are means over types and conditions: how well a classifier tells drawn
            cells from real ones (AUC: 0.5 if it cannot, 1 if it always can), and the share of drawn
            cells that have the right label. Drawn cells that lie beside the real ones, and not
            among them, are of no use as data. A colour that is only in the first map is a type that
            the model does not draw. Models with a squared error draw noise that the data do not
            have; this noise alone tells their cells from real ones.
        """),
    ),
    "drawn_images": FigureText(
        "Drawn images",
        "What does each component stand for, and do the images that a model draws look like real "
        "ones?",
        _paragraph("""
            Expected images for latents that each model draws from its prior, without the noise of
            its likelihood, for its seed of the lowest loss. The first row shows real images, of as
            many types as there are. Each row below is a component of the mixture, with its number
            and, after the colon, the type of most of its training cells, if it has any. If a model
            sees the types, a row is a type; for all other models, the rows are any draws. A row of
            one type in many shapes is a good component. Several rows of the same type split it. A
            row that changes type from image to image, or is blurred, is a component that stands for
            nothing.
        """),
    ),
    "gene_means": FigureText(
        "Predicted means of genes",
        "Which genes does a prediction of treated cells have right, and which not?",
        _paragraph("""
            Treated cells as predicted, gene by gene. Horizontal axis: the mean of a gene in real
            treated cells of the type; if these are held out, no model was trained on them. Vertical
            axis: the mean as predicted. The first panel shows control cells, which are the
            prediction of no change. The two means are equal on the dashed line; the solid line is
            the regression. R² is the squared correlation of the predicted means with those of
            treated cells, and on the right with those of control cells: a prediction that is nearer
            to control than to treated cells has hardly moved. The names are those of the five genes
            that are farthest from the regression line. R² of no change is already high, because
            most genes do not respond, and R² is blind to slope and offset. Look at the genes that
            respond, far below the dashed line in the first panel, and check if a predictor brings
            them up to it. Models are shown for their lowest seed that did not fail.
        """),
    ),
    "marker_ranking": FigureText(
        "Genes that rise most",
        "Are the genes that rise most in predicted cells those that rise most in real ones?",
        _paragraph("""
            The ten genes that rise most over control cells, by the z-score of the Wilcoxon rank-sum
            test: first in real treated cells, then in the cells that each predictor draws. Genes in
            blue are also among the ten of the real cells; their number is written above. A name
            without a bar is a gene that does not rise. The score says how well a gene tells the
            cells apart, not how far it rises. It cannot exceed √(3nm / (n + m + 1)) for n treated
            and m control cells, which it reaches if every treated cell is above every control cell.
            Cells without the noise of real ones reach this limit for many genes, whose order is
            then arbitrary: these genes have bars of equal length. Models whose likelihood has noise
            draw it; control cells that are moved as a whole have only their own. Models are shown
            for their lowest seed that did not fail.
        """),
    ),
}
