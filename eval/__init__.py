"""A client of any OpenAI-compatible server that measures how many problems a model solves."""
