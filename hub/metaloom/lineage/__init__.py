"""The mirror of lineage in MLflow: what happened in the hub, as runs and logged models.

Our own tables are the truth; MLflow is a copy that may be absent, down or late.  What it should
know waits in the catalogue's outbox, written in the same transaction as the thing itself, until the
one `Sender` of a library sends it.
"""

from typing import TYPE_CHECKING

from metaloom_registry.lazy import lazy_names

if TYPE_CHECKING:
    from metaloom.lineage.reading import TracedRun as TracedRun
    from metaloom.lineage.reading import block_of_model as block_of_model
    from metaloom.lineage.reading import trace_run as trace_run
    from metaloom.lineage.sender import Message as Message
    from metaloom.lineage.sender import Outbox as Outbox
    from metaloom.lineage.sender import Sender as Sender
    from metaloom.lineage.sender import Sent as Sent
    from metaloom.lineage.sender import tracking_uri as tracking_uri
else:
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "reading": (
                "TracedRun",
                "block_of_model",
                "trace_run",
            ),
            "sender": (
                "Message",
                "Outbox",
                "Sender",
                "Sent",
                "tracking_uri",
            ),
        },
    )
