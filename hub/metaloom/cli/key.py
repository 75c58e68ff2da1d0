"""`metaloom key`: the keys one signs with, and the keys one trusts."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

import metaloom
from metaloom.cli.options import AsJson, Home
from metaloom.cli.output import show, show_json, table
from metaloom_registry import Trusted
from metaloom_registry.keys import is_encrypted

app = typer.Typer(
    name="key",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Sign blocks, and say whose signatures you trust.",
)

Name = Annotated[str, typer.Argument(help="What to call the key here.", metavar="NAME")]


@app.command("new")
def new(
    name: Name = "default",
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Ask for a passphrase and encrypt the key.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Make a key to sign with, and trust it.

    The private key is a file of mode 0600 in the folder keys of the library, or in METALOOM_KEYS;
    a passphrase is taken from METALOOM_PASSPHRASE where that is set.

    [bold]Examples[/bold]

      metaloom key new
      metaloom key new alice --passphrase
    """
    with metaloom.Hub.open(home) as hub:
        if passphrase and not hub.keys.passphrase:
            hub.keys.passphrase = typer.prompt(
                "passphrase", hide_input=True, confirmation_prompt=True, err=True
            )
        made = hub.keys.create(name, secrets.token_bytes(32))
        if as_json:
            show_json({"name": name, "key": str(made.public), "folder": str(hub.keys.folder)})
            return
        show(f"{name}: {made.public}")
        show(f"the private key is {hub.keys.folder / name}.key: keep it to yourself")
        show(f"others trust it by: metaloom key trust {made.public} --name {name}")


@app.command("list")
def list_keys(home: Home = None, as_json: AsJson = False) -> None:
    """List the keys one can sign with, and those that are trusted.

    [bold]Examples[/bold]

      metaloom key list
    """
    with metaloom.Hub.open(home) as hub:
        mine = set(hub.keys.names)
        trusted = hub.keys.trust.keys
        unlisted = sorted(mine - {one.name for one in trusted})
        if as_json:
            show_json(
                {"trusted": [_described(one, one.name in mine) for one in trusted],
                 "untrusted": unlisted}
            )  # fmt: skip
            return
        if not trusted and not unlisted:
            show("no keys; `metaloom key new` makes one, `metaloom key trust` adds another's")
            return
        rows = [
            (one.name, str(one.key), _namespaces(one), "yes" if one.name in mine else "")
            for one in trusted
        ]
        rows += [(name, "not trusted", "", "yes") for name in unlisted]
        show(table(("name", "key", "may sign for", "yours"), rows))


@app.command("show")
def show_key(
    name: Annotated[str, typer.Argument(help="Its name, or a file of it.", metavar="KEY")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Print a public key, to be given to others.

    [bold]Examples[/bold]

      metaloom key show default
    """
    with metaloom.Hub.open(home) as hub:
        key = hub.keys.public(name)
        known = hub.keys.trust.find(key)
        if as_json:
            trusted = None if known is None else _described(known, known.name in hub.keys.names)
            show_json({"key": str(key), "trusted": trusted})
        else:
            show(str(key))


@app.command("trust")
def trust(
    key: Annotated[
        str, typer.Argument(help="ed25519:..., or a file that holds it.", metavar="KEY")
    ],
    name: Annotated[str, typer.Option("--name", help="What to call its owner.", metavar="NAME")],
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace", help="Only for names in it; may be repeated.", metavar="NAMESPACE"
        ),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Trust a key: what it signs is shown as signed by its owner.

    [bold]Examples[/bold]

      metaloom key trust alice.pub --name alice
      metaloom key trust ed25519:1c1a... --name alice --namespace vision
    """
    with metaloom.Hub.open(home) as hub:
        one = hub.keys.add_trusted(name, hub.keys.public(key), namespace or ())
        if as_json:
            show_json(_described(one, one.name in hub.keys.names))
        else:
            show(f"{one.name} ({one.key.short}…) is trusted for {_namespaces(one)}")


@app.command("untrust")
def untrust(
    key: Annotated[str, typer.Argument(help="Its name, or ed25519:...", metavar="KEY")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Trust a key no longer; what it signed is kept.

    [bold]Examples[/bold]

      metaloom key untrust alice
    """
    with metaloom.Hub.open(home) as hub:
        one = hub.keys.remove_trusted(key)
        if as_json:
            show_json(_described(one, one.name in hub.keys.names))
        else:
            show(f"{one.name} ({one.key.short}…) is no longer trusted")


@app.command("sign")
def sign(
    reference: Annotated[str, typer.Argument(help="A published block.", metavar="BLOCK")],
    key: Annotated[
        str | None,
        typer.Option("--key", help="The name of your key; the only one without.", metavar="NAME"),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Sign a block that is published already; a block may have several signatures.

    [bold]Examples[/bold]

      metaloom key sign vision/conv4@3
      metaloom key sign vision/conv4 --key alice
    """
    with metaloom.Hub.open(home) as hub:
        unlock(hub, key)
        block = hub.sign(reference, key)
        signers = hub.signers(block)
        if as_json:
            show_json({"reference": str(block.reference), "signers": [str(s) for s in signers]})
        else:
            for signer in signers:
                show(f"{block.reference} {signer}")


def unlock(hub: metaloom.Hub, name: str | None) -> None:
    """Ask for the passphrase of a key that needs one, on a terminal."""
    names = [name] if name else list(hub.keys.names)
    path = hub.keys.folder / f"{names[0]}.key" if len(names) == 1 else None
    if hub.keys.passphrase or path is None or not path.is_file():
        return
    if is_encrypted(path.read_bytes()) and typer.get_text_stream("stdin").isatty():
        hub.keys.passphrase = typer.prompt(f"passphrase of {path.stem}", hide_input=True, err=True)


def _namespaces(one: Trusted) -> str:
    return ", ".join(sorted(one.namespaces)) or "all namespaces"


def _described(one: Trusted, mine: bool) -> dict[str, object]:
    return {
        "name": one.name,
        "key": str(one.key),
        "namespaces": sorted(one.namespaces),
        "mine": mine,
    }
