"""Numbers from samples: rates with intervals, comparisons, what more samples would bring."""
