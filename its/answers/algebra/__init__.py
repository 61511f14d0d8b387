"""Evaluate LaTeX expressions: what a judge is, and one that runs in worker processes."""
