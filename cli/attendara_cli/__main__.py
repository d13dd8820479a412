"""`attendara`: the operator's one command."""

import asyncio
from typing import Annotated

import typer

from attendara_cli.announce import announce_again
from attendara_cli.keys import forget_key, list_keys, rotate_keys
from attendara_cli.schema import schema_of
from attendara_cli.settings import Settings
from attendara_cli.topics import create_topics
from common.settings import read_settings

ROTATION = """The keys that wrap the connections' data keys: TOKEN_KEYS of auth, the first one active.

To change the key while everything runs, in this order:

1. Add the new key to TOKEN_KEYS behind the old one, and roll auth out: every replica knows it before any uses it.

2. Put the new key first, and roll auth out: it wraps what is new.

3. `attendara keys rotate` re-wraps what is there. It may be interrupted and run again at any time.

4. `attendara keys forget OLD` says when nothing needs the old key. Take it out of TOKEN_KEYS, and roll auth out.

Auth does not start without a key that a record needs, or with a wrong one under its name: `/readyz` and the log say which.
"""

app = typer.Typer(help="Operates Attendara's Outlook integration.", no_args_is_help=True, add_completion=False)
keys = typer.Typer(help=ROTATION, short_help="The keys that tokens are encrypted with.", no_args_is_help=True)
app.add_typer(keys, name="keys")


@app.command()
def topics(
    replication: Annotated[int | None, typer.Option(min=1, help="Copies of each partition; else three, or one per broker.")] = None,
) -> None:
    """Create the topics that are missing. Those that exist are left as they are; run it as often as you like."""
    for name, outcome in asyncio.run(create_topics(read_settings(Settings), replication)).items():
        typer.echo(f"{outcome:8} {name}")


@app.command()
def announce(organization: Annotated[str | None, typer.Option(help="Only what belongs to this organization.")] = None) -> None:
    """Have everything announced again, for readers of our topics that lost what they had."""
    for service, count in asyncio.run(announce_again(read_settings(Settings), organization)).items():
        typer.echo(f"{service}: {count} announced again")


@app.command()
def schema(topic: Annotated[str, typer.Argument(help="For example appointment.changed.v1")]) -> None:
    """Print a topic's JSON Schema."""
    typer.echo(schema_of(topic))


@keys.command("list")
def keys_list() -> None:
    """Say which keys there are, which is active, and how many records need each."""
    asyncio.run(list_keys(read_settings(Settings), typer.echo))


@keys.command("rotate")
def keys_rotate() -> None:
    """Re-wrap every record with the active key, in the order of `attendara keys --help`.

    Exits with 1 while a record stands on another key.
    """
    asyncio.run(rotate_keys(read_settings(Settings), typer.echo))


@keys.command("forget")
def keys_forget(key: Annotated[str, typer.Argument(help="Its id in TOKEN_KEYS.")]) -> None:
    """Say whether a key may be taken out of TOKEN_KEYS. Exits with 1 while it is active, or a record needs it."""
    typer.echo(asyncio.run(forget_key(read_settings(Settings), key)))


if __name__ == "__main__":
    app()
