"""`metaloom owner`, `yank`, `deprecate`, `tombstone`: who may publish, and what not to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

import metaloom
from metaloom.cli.key import unlock
from metaloom.cli.listing import describe
from metaloom.cli.options import AsJson, Home
from metaloom.cli.output import note, show, show_json
from metaloom_registry import Reference

if TYPE_CHECKING:
    from metaloom import Hub
    from metaloom_registry import PublicKey
    from metaloom_registry.catalogue import Version

Versioned = Annotated[
    str, typer.Argument(help="The version, as namespace/name@3.", metavar="BLOCK")
]
Why = Annotated[
    str, typer.Option("--why", help="The reason, for whoever meets it.", metavar="TEXT")
]
Namespace = Annotated[
    str, typer.Argument(help="The part of names before the slash.", metavar="NAMESPACE")
]
Owner = Annotated[str, typer.Argument(help="A key's name, file or ed25519:...", metavar="KEY")]
Key = Annotated[
    str | None,
    typer.Option("--key", help="The key you do it by, if the namespace is owned.", metavar="NAME"),
]

app = typer.Typer(
    name="owner",
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Say whose keys may publish into a namespace.",
)


@app.command("add")
def add(
    namespace: Namespace,
    owner: Owner,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let a key own a namespace; from the first one on, nobody else publishes there.

    [bold]Examples[/bold]

      metaloom owner add vision default
      metaloom owner add vision alice.pub --key default
    """
    with metaloom.Hub.open(home) as hub:
        by = acting(hub, namespace, key)
        hub.registry.custody.add_owner(namespace, hub.keys.public(owner), by=by)
        _owners(hub, namespace, as_json)


@app.command("remove")
def remove(
    namespace: Namespace,
    owner: Owner,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Let a key own a namespace no longer.

    [bold]Examples[/bold]

      metaloom owner remove vision bob --key alice
    """
    with metaloom.Hub.open(home) as hub:
        by = acting(hub, namespace, key)
        hub.registry.custody.remove_owner(namespace, hub.keys.public(owner), by=by)
        _owners(hub, namespace, as_json)


@app.command("list")
def list_owners(
    namespace: Namespace,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List the keys that own a namespace.

    [bold]Examples[/bold]

      metaloom owner list vision
    """
    with metaloom.Hub.open(home) as hub:
        _owners(hub, namespace, as_json)


def yank(
    reference: Versioned,
    why: Why = "",
    undo: Annotated[bool, typer.Option("--undo", help="Offer it again.")] = False,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Stop offering a version: its number still finds it, its name alone does not.

    [bold]Examples[/bold]

      metaloom yank vision/conv4@3 --why "trained on the test set"
      metaloom yank vision/conv4@3 --undo
    """
    with metaloom.Hub.open(home) as hub:
        found, registry = Reference.parse(reference), hub.registry
        by = acting(hub, found, key)
        version = registry.unyank(found, by=by) if undo else registry.yank(found, why, by=by)
        _tell(hub, version, as_json, f"{version} is {'offered again' if undo else 'yanked'}")


def deprecate(
    reference: Versioned,
    successor: Annotated[
        str | None, typer.Option("--use", help="What to use instead.", metavar="BLOCK")
    ] = None,
    why: Why = "",
    undo: Annotated[bool, typer.Option("--undo", help="Recommend it again.")] = False,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say that another block should be used than this version, which is offered as before.

    [bold]Examples[/bold]

      metaloom deprecate vision/conv4@3 --use vision/conv5 --why "conv5 is as fast"
    """
    with metaloom.Hub.open(home) as hub:
        custody, found = hub.registry.custody, Reference.parse(reference)
        by = acting(hub, found, key)
        other = None if successor is None else Reference.parse(successor)
        version = (
            custody.undeprecate(found, by=by)
            if undo
            else custody.deprecate(found, why, other, by=by)
        )
        said = "recommended again" if undo else "deprecated"
        _tell(hub, version, as_json, f"{version} is {said}")


def tombstone(
    reference: Versioned,
    why: Why,
    key: Key = None,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Take a block away for good: its number stays and tells why, its bytes go.

    What was made of it can be loaded no longer. `metaloom gc` removes the bytes.

    [bold]Examples[/bold]

      metaloom tombstone vision/faces@1 --why "holds private pictures"
    """
    with metaloom.Hub.open(home) as hub:
        children = hub.lineage(reference, depth=1).children
        found = Reference.parse(reference)
        version = hub.registry.custody.tombstone(found, why, by=acting(hub, found, key))
        _tell(hub, version, as_json, f"{version} is gone: {version.tombstone}")
        if users := ", ".join(node.label for node in children.nodes[1:]):
            rest = f" and {children.rest} more" if children.more else ""
            note(f"what used it can be loaded no longer: {users}{rest}")


def acting(hub: Hub, what: Reference | str, key: str | None = None) -> PublicKey | None:
    """The key by which a version or a namespace is changed, as `Hub.acting` says.

    Its passphrase is asked for.
    """
    space = what if isinstance(what, str) else what.name.namespace if what.name else None
    owners = () if space is None else hub.registry.custody.owners(space)
    name = key or hub.keys.among(owners)
    if name is None:
        return None
    unlock(hub, name)
    return hub.keys.secret(name).public


def _tell(hub: Hub, version: Version, as_json: bool, said: str) -> None:
    if as_json:
        show_json(describe(hub[version.reference]))
    else:
        show(said)


def _owners(hub: Hub, namespace: str, as_json: bool) -> None:
    owners = [str(key) for key in hub.registry.custody.owners(namespace)]
    if as_json:
        show_json({"namespace": namespace, "owners": owners})
    else:
        show(
            f"{namespace}: {', '.join(owners) or 'nobody owns it, so everybody may publish there'}"
        )
