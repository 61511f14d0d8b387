"""From the TOML file to frozen, checked settings."""
