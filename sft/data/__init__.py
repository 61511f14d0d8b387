"""Data sets: draw rows, put contexts in, write them with their record."""
