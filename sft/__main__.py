"""`its-sft`: prepare the training data of a co-designed checkpoint."""

import typer

from . import data_commands as data

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Prepare the training data of a checkpoint that is asked with a context.",
)

for command in (data.build, data.compose, data.personas, data.parity):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
