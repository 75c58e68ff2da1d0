"""Pictures for people: programs, images and lineage as SVG and HTML, without a server."""

from __future__ import annotations
