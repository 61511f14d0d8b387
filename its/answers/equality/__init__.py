"""Decide whether two answers are equal, and group those that are."""
