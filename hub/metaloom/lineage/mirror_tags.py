"""The tags by which MLflow's runs and models say what they are in the library."""

from __future__ import annotations

EXPERIMENT = "metaloom"
TAG_EVENT = "metaloom.event"
TAG_DIGEST = "metaloom.digest"
TAG_REFERENCE = "metaloom.reference"
TAG_SOLVE = "metaloom.solve"
TAG_RUN = "metaloom.run"
TAG_TASK = "metaloom.task"
