"""Personas: our own bank, and the prompts and rules for a model that writes them."""
