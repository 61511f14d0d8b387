"""Ask a model every problem, and keep every answer."""
