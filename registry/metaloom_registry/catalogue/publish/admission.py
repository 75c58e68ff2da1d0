"""Which graph blocks may be loaded: each is validated once by the rules in force, and remembered.

A block that was exported from a live module in this process is checked here; one of unknown origin
is tried in a worker process.  What came of it is kept by (digest, opset, version of the validator),
so that later loads need to check digests only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from sqlalchemy import bindparam, select
from sqlmodel import Session

from metaloom_registry.catalogue.publish.kinds import required_file, validate_block
from metaloom_registry.catalogue.schema import tables
from metaloom_registry.catalogue.schema.database import Database
from metaloom_registry.catalogue.schema.rows import add_rows
from metaloom_registry.digest import Digest
from metaloom_registry.graph.conversions import Conversions
from metaloom_registry.graph.opset import OPSET
from metaloom_registry.manifest import GRAPH_FILE, WEIGHTS_FILE, Manifest
from metaloom_registry.workers import VALIDATOR, Trial, Verdict


class Examiner(Protocol):
    """Finds out what a block is: by default a `workers.Pool`."""

    def validate(self, trial: Trial) -> Verdict:
        """What came of trying a block."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


KEPT = 10_000


class Admission:
    """The verdicts on the graph blocks of a catalogue."""

    def __init__(self, database: Database, examiner: Examiner, now: Callable[[], int]) -> None:
        self._database = database
        self._examiner = examiner
        self._now = now
        self._admitted: set[Digest] = set()
        self.conversions = Conversions()
        """What modules this process converted, and measured."""

    def check(
        self, manifest: Manifest, files: Mapping[str, bytes], *, exported: bool
    ) -> Verdict | None:
        """Check a block that is to be published; the verdict to be kept, where one is needed.

        Raises Refused, ParseError, TypeMismatch or WrongFact.
        """
        if manifest.kind == "graph" and not exported:
            return self._verdict(manifest, files)
        measured = self.conversions.fingerprint(manifest.files) if exported else None
        validate_block(manifest, files, measured)
        return Verdict("accepted") if exported else None

    def require(self, manifest: Manifest, files: Mapping[str, bytes]) -> None:
        """Raise what a graph block was refused with; it is validated first where it never was."""
        if manifest.digest in self._admitted:
            return
        self._verdict(manifest, files)
        if len(self._admitted) >= KEPT:
            self._admitted.clear()
        self._admitted.add(manifest.digest)

    def _verdict(self, manifest: Manifest, files: Mapping[str, bytes]) -> Verdict:
        """The verdict of a block that is accepted. Raises the error of one that is not."""
        with self._database.reading() as session:
            found = known(session, manifest.digest)
        if found is None:
            found = self._examiner.validate(trial_of(manifest, files))
            if found.lasting:
                verdict, now = found, self._now()
                self._database.write(lambda session: keep(session, manifest.digest, verdict, now))
        found.require()
        return found


def trial_of(manifest: Manifest, files: Mapping[str, bytes]) -> Trial:
    """What is to be tried of a graph block. Raises Refused where a file is missing."""
    return Trial(
        required_file(files, GRAPH_FILE),
        required_file(files, WEIGHTS_FILE),
        str(manifest.signature),
        manifest.facts,
    )


def known(session: Session, digest: Digest) -> Verdict | None:
    """What came of a block by the rules in force, if it was validated by them."""
    given = {"digest": digest.hex, "opset": OPSET, "validator": VALIDATOR}
    row = session.connection().execute(_KNOWN, given).first()
    return None if row is None else Verdict(*row)


def keep(session: Session, digest: Digest, verdict: Verdict, now: int) -> None:
    """Remember what came of a block by the rules in force."""
    if known(session, digest) is None:
        row = {
            "digest": digest.hex,
            "opset": OPSET,
            "validator": VALIDATOR,
            "outcome": verdict.outcome,
            "reason": verdict.reason,
            "error": verdict.error,
            "measured": dict(verdict.measured),
            "created": now,
        }
        add_rows(session, "verdict", [row])


_verdict = tables.METADATA.tables["verdict"]
_KNOWN = select(_verdict.c.outcome, _verdict.c.reason, _verdict.c.error, _verdict.c.measured).where(
    *(_verdict.c[key] == bindparam(key) for key in ("digest", "opset", "validator"))
)
