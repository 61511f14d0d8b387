"""`its-sft`: make the data of a co-designed checkpoint, and train it."""

from its.cli import in_forms
from its.cli.application import application

from .cli import CLI
from .commands import checkpoints as after
from .commands import data as data
from .commands import training as train
from .commands.diversity import diversity
from .commands.notes import notes

app = application(CLI, "Make the data of a checkpoint that is asked with a context, and train it.")

for command in (
    data.build, data.compose, data.personas, data.parity, diversity, notes,
    in_forms(train.recipes), train.inspect, train.train, train.merge,
    after.select, after.export, after.convert, after.card,
):  # fmt: skip
    app.command()(command)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
