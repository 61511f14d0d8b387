"""A configuration that people run, read as if its checkpoints and its key were here."""

from pathlib import Path

from its import manifest, strategies
from tests.conftest import command

TRAINED = {"s": "similar", "u": "unsimilar", "r": "random"}


def checked(text: str, folder: Path) -> str:
    """Return what `its-proxy check --explain` says of the configuration `text`."""
    for name, strategy in TRAINED.items():
        checkpoint = folder / name
        checkpoint.mkdir()
        train = manifest.Train(strategy, strategy_version=strategies.get(strategy).version)
        known = manifest.Manifest(manifest.SCHEMA, "base", train)
        manifest.write(known, checkpoint / manifest.NAME)
    for name in ("key", "metrics_key"):
        (folder / name).write_text(f"a-long-enough-secret, the {name}")
    for there, here in (
        ("/checkpoints", str(folder)),
        ("/run/secrets/its_key", str(folder / "key")),
        ("/run/secrets/its_metrics_key", str(folder / "metrics_key")),
        ("/run/secrets/its/user", str(folder / "key")),
        ("/run/secrets/its/metrics", str(folder / "metrics_key")),
        # Its name is one of the cluster's; tests of the store run a real Redis.
        ("redis://redis:6379/0", f"sqlite:{folder / 'personas.db'}"),
    ):
        text = text.replace(there, here)
    # `check` opens the store, and this Redis is in the cluster.
    text = text.replace('"redis://redis:6379/0"', f'"sqlite:{folder}/personas.db"')
    file = folder / "panels.toml"
    file.write_text(text, "utf-8")
    ran = command("proxy", "check", "--config", file, "--explain")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout + ran.stderr
