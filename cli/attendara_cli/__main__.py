"""`attendara`: the operator's one command."""

import asyncio
import ssl
from pathlib import Path
from typing import Annotated

import typer

from attendara_cli.announce import announce_again
from attendara_cli.check.posting import graphs_trust
from attendara_cli.check.webhook import Finding, address_of, check_webhook, say_all
from attendara_cli.keys import forget_key, list_keys, rotate_keys
from attendara_cli.schema import schema_of
from attendara_cli.settings import Settings
from attendara_cli.topics import create_topics
from common.client_state import ClientStates, ClientStateSettings
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
check = typer.Typer(help="Look from outside at what runs, and say what is wrong with it.", no_args_is_help=True)
app.add_typer(check, name="check")


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


@check.command("webhook")
def check_webhook_command(
    address: Annotated[str, typer.Argument(help="NOTIFICATION_URL, or one of the two addresses below it that Graph posts to.")],
    ca: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Trust this authority (PEM) instead of public ones; Microsoft won't."),
    ] = None,
) -> None:
    """Post to the webhook gateway's public address as Graph does: its handshake, and a signed probe that is never published.

    Run it from outside your network, with the gateway's CLIENT_STATE_KEYS. It uses no proxy and follows no redirect, since
    Graph does neither. Exits with 1 when something is wrong, and says what it is and what to do.
    """
    try:
        where, trust = address_of(address), graphs_trust(ca)
    except ssl.SSLError as error:
        raise typer.BadParameter("the file holds no certificate", param_hint="--ca") from error
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="ADDRESS") from error
    client_states = ClientStates(read_settings(ClientStateSettings).client_state_keys)
    well = asyncio.run(say_all(check_webhook(where, client_states, trust), typer.echo))
    if ca:
        typer.echo(Finding("note", f"the authority of {ca} is trusted here; Microsoft trusts public ones alone").line)
    raise typer.Exit(0 if well else 1)


if __name__ == "__main__":
    app()
