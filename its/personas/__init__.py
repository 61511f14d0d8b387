"""Personas: our own bank; writing them with a model will stand beside it."""
