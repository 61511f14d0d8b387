"""Hold answers against the gold answers."""
