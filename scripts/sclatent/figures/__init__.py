"""The figures that notebooks show, one module each; they draw what files hold.

A figure's module has a function `draw` that reads its files and returns the figure, and an entry in
`catalogue` with its words. No score is computed here.
"""
