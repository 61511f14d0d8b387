"""Values and ASGI steps that every other room uses."""
