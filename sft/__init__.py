"""Training data and configurations that put a context in front of the question."""
