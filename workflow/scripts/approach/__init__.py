"""What the pipeline is made of. Scripts that wait for torch import this package first, and so reach these lines."""

import gc

# Importing torch makes some hundred thousand objects that stay. By Python's defaults each job looks through them for
# cycles again and again while they come: a quarter of a second of the second and a half that it needs to begin.
gc.set_threshold(50_000, 20, 100)
