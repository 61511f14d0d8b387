"""What is worth a warning in a configuration that is good, when it is read and read again."""

from collections.abc import Iterator, Mapping

from its.manifest import other_contexts
from its.strategies import adds_context

from .settings import PersonaSettings, Settings


def notices(settings: Settings) -> Iterator[str]:
    """Yield one line for each thing that a configuration's owner may not know."""
    bare = [member.name for member in settings.members.values() if member.manifest is None]
    if bare:
        yield (
            f"{', '.join(bare)}: no manifest (`input_time.json`), so the proxy cannot check how"
            " they were trained. Set `members.NAME.manifest`."
        )
    for member in settings.members.values():
        manifest = member.manifest
        # By another strategy other contexts are what was asked for.
        if manifest is None or manifest.train.strategy != member.strategy:
            continue
        if not adds_context(member.strategy):
            continue
        for told in other_contexts(manifest, hashes(settings.personas)):
            yield f"{member.name} {told}. The same questions get other contexts, which is allowed."


def hashes(personas: PersonaSettings) -> Mapping[str, str]:
    """Return the SHA-256 of what contexts are chosen from, by name."""
    from its.personas import bank  # it loads numpy

    files = {
        "bank": personas.bank or bank.load(), "notes": personas.notes,
        "examples": personas.examples, "concepts": personas.concepts,
    }  # fmt: skip
    return {name: file.sha256 for name, file in files.items() if file is not None}
