"""The pytest plug-in of the kit: `pytest -p directlane.testing.plugin`. Nobody who does not name it gets it."""

from ..core.testing.plugin import (
    directlane_clouds,
    emulated_eas,
    emulated_modelarts,
    faults,
    pytest_addoption,
    pytest_configure,
)

__all__ = [
    "directlane_clouds",
    "emulated_eas",
    "emulated_modelarts",
    "faults",
    "pytest_addoption",
    "pytest_configure",
]
