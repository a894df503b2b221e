"""Names and numbers that several stages share: labels, splits, what tables call sums over groups."""

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

# The predictors of treated cells that are the floor and the ceiling of all others.
NO_CHANGE, REAL_CELLS = "no_change", "real_cells"

FEWEST = 5  # cells of a type in a condition; fewer are neither predicted nor compared with
EVALUATION_SEED = 0  # of random choices outside of trainings: the same for all models and seeds
