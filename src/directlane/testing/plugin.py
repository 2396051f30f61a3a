"""The pytest plug-in of the kit: `pytest -p directlane.testing.plugin`. Nobody who does not name it gets it."""

from __future__ import annotations
