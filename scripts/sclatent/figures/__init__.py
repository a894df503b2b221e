"""The figures that the notebooks show, one module a figure; they draw what files hold, and no score rests on them."""
