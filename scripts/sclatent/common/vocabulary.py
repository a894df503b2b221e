"""Names and numbers that several stages share: labels, splits, and what tables call sums."""

# Labels of a cell, under the names that every file uses.
LABELS = ("cell_type", "condition", "batch")
# Values of the column `split`.
TRAIN, HELD_OUT = "train", "held_out"

# What tables say in place of a cell type or a condition.
ALL = "all"  # cells of any type or condition
UNNAMED = "no type"  # a mixture component that stands for no cell type
OVER_TYPES = "mean of types"
OVER_GROUPS = "mean of groups"
RESERVED = (ALL, UNNAMED, OVER_TYPES, OVER_GROUPS)  # names that no label may have

# Predictors of treated cells: the floor and the ceiling of all others.
NO_CHANGE, REAL_CELLS = "no_change", "real_cells"

FEWEST = 5  # cells of a type in a condition; smaller groups are not predicted or compared
EVALUATION_SEED = 0  # of random choices outside of training, for all models and seeds


def divided_into(n_components: int) -> str:
    """Return the method name of k-means into `n_components` clusters, the floor of a mixture."""
    return f"kmeans_{n_components}"
