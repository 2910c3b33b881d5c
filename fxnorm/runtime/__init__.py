"""How a plan is run fast: the same codes as the kernels' own integer arithmetic, held in float32 where that is exact."""
