"""The errors of Metaloom: each says what was given, what was wanted and the remedy."""

from __future__ import annotations


class MetaloomError(Exception):
    """Anything Metaloom refuses; the command line prints its message without a traceback."""


class ParseError(MetaloomError):
    """A text that is not what it should be: a type, a term, a reference, JSON."""


class TypeMismatch(MetaloomError):
    """A part that does not fit the place it is put in."""


class InvalidName(MetaloomError):
    """A name that a block, a version or an alias may not have."""


class NotFound(MetaloomError):
    """A block, version, alias, primitive or file that does not exist."""


class AlreadyExists(MetaloomError):
    """Something that would replace what may not be replaced."""


class NotOwner(MetaloomError):
    """A change to a namespace by somebody whose key does not own it."""


class Corrupt(MetaloomError):
    """Bytes that are not the bytes their digest promises."""


class StorageError(MetaloomError):
    """A store or a database that cannot be read or written, or that a newer Metaloom wrote."""


class Refused(MetaloomError):
    """A block or a graph that breaks the rules of the format, and so is not loaded."""


class LicenceConflict(MetaloomError):
    """Parts whose licences can not be kept at once, or a licence that one of them forbids."""


class BadSeal(MetaloomError):
    """A signature by a key that does not hold for the block it stands beside."""


class WrongFact(MetaloomError):
    """A fact in a manifest that is not what the block's files give when it is measured again."""


class EvaluationError(MetaloomError):
    """A program that has no value on this input: an overflow, an empty list, a spent budget."""


class InvalidTask(MetaloomError):
    """Examples that do not make a task: none at all, one class, ragged shapes, NaN."""


class NoSolution(MetaloomError):
    """A search that found nothing it can return; the message says what came nearest."""


class MissingExtra(MetaloomError):
    """Something optional that is not installed; the message says which extra brings it."""


class PluginError(MetaloomError):
    """A plugin that could not be loaded, or two that claim one name."""


class WorkerFailed(MetaloomError):
    """A process that checks blocks could not be started; the message says what it said last."""
