"""What went wrong between here and a server of the Hub's protocol, in words, with the remedy."""

from __future__ import annotations

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT)
_BY_KIND = {
    "GatedRepoError": (
        "it is gated, and its owner did not let you in",
        "ask on its page for access, and set METALOOM_TOKEN",
    ),
    "RepositoryNotFoundError": (
        "there is no such repository, or it is private",
        "check the name, and that METALOOM_TOKEN may read it",
    ),
    "RevisionNotFoundError": (
        "it has no such revision",
        "name a branch, a tag or a commit that is there, or none",
    ),
}
_BY_STATUS = {
    401: ("the server does not know the token", "set METALOOM_TOKEN to one that is valid"),
    403: (
        "the token may not do this",
        "set METALOOM_TOKEN to one that may, or choose a repository of your own",
    ),
    429: ("the server was asked too often", "wait{after} and do it again"),
}


def refusal(doing: str, error: BaseException, unreached: str = "") -> str:
    """What could not be done, why, and the remedy; `error` is of `huggingface_hub`.

    `unreached` is what else may be done where the server gives no answer.
    """
    error = _cause(error)
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    kinds = [kind.__name__ for kind in type(error).__mro__]
    known = [_BY_KIND[kind] for kind in kinds if kind in _BY_KIND]
    known += [_BY_STATUS[status]] if status in _BY_STATUS else []
    if known:
        why, remedy = known[0]
        after = getattr(response, "headers", {}).get("Retry-After", "")
        return f"{doing}: {why}; " + remedy.format(after=f" {after} s" if after.isdigit() else "")
    if isinstance(error, OSError) and (error.filename is not None or error.errno in _FULL):
        return (
            f"{doing}: {_said(error)}; make room and see that METALOOM_CACHE "
            "(or HF_HOME) is a folder that you may write to"
        )
    if isinstance(status, int) and status >= 500:
        return f"{doing}: the server is in trouble ({status}); do it again later{unreached}"
    remedy = f"check the connection and METALOOM_ENDPOINT, and do it again{unreached}"
    return f"{doing}: {_said(error)}; {remedy}"


def _cause(error: BaseException) -> BaseException:
    """What was answered, where the client looked into its cache after that."""
    while type(error).__name__ == "LocalEntryNotFoundError" and error.__cause__ is not None:
        error = error.__cause__
    return error


def _said(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:200]}"
