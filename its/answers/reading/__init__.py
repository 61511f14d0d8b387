"""Read the final answer out of a model's text."""
