"""Contexts of a whole data set, written by a model."""
