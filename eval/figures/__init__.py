"""Numbers from samples: rates with intervals, comparisons, scaling. Pure but for numpy."""
