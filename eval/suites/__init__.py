"""Several tasks with several models: one file, one command, one table."""
