"""`attendara`: the operator's one command."""

import asyncio
from typing import Annotated

import typer

from attendara_cli.announce import announce_again
from attendara_cli.schema import schema_of
from attendara_cli.settings import Settings
from attendara_cli.topics import create_topics

app = typer.Typer(help="Operates Attendara's Outlook integration.", no_args_is_help=True, add_completion=False)


@app.command()
def topics(
    replication: Annotated[int | None, typer.Option(min=1, help="Copies of each partition; else three, or one per broker.")] = None,
) -> None:
    """Create the topics that are missing. Those that exist are left as they are; run it as often as you like."""
    for name, outcome in asyncio.run(create_topics(Settings(), replication)).items():
        typer.echo(f"{outcome:8} {name}")


@app.command()
def announce(organization: Annotated[str | None, typer.Option(help="Only what belongs to this organization.")] = None) -> None:
    """Have everything announced again, for readers of our topics that lost what they had."""
    for service, count in asyncio.run(announce_again(Settings(), organization)).items():
        typer.echo(f"{service}: {count} announced again")


@app.command()
def schema(topic: Annotated[str, typer.Argument(help="For example appointment.changed.v1")]) -> None:
    """Print a topic's JSON Schema."""
    typer.echo(schema_of(topic))


if __name__ == "__main__":
    app()
