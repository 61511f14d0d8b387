"""A configuration that people run, read as if its checkpoints and its key were here."""

from pathlib import Path

from its import manifest
from tests.conftest import command

TRAINED = {"s": "similar", "u": "unsimilar", "r": "random"}


def checked(text: str, folder: Path) -> str:
    """Return what `its-proxy check --explain` says of the configuration `text`."""
    for name, strategy in TRAINED.items():
        checkpoint = folder / name
        checkpoint.mkdir()
        known = manifest.Manifest(manifest.SCHEMA, "base", manifest.Train(strategy))
        manifest.write(known, checkpoint / manifest.NAME)
    (folder / "key").write_text("a-long-enough-secret")
    for there, here in (
        ("/checkpoints", str(folder)),
        ("/run/secrets/its_key", str(folder / "key")),
        ("/run/secrets/its/user", str(folder / "key")),
    ):
        text = text.replace(there, here)
    file = folder / "panels.toml"
    file.write_text(text, "utf-8")
    ran = command("proxy", "check", "--config", file, "--explain")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr
