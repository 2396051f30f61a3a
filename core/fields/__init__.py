"""Types for the fields of settings models: ours and those of plug-ins."""

from .duration import Duration, format_duration, parse_duration
from .secret import Referenced, Secret, SecretContext

__all__ = ["Duration", "Referenced", "Secret", "SecretContext", "format_duration", "parse_duration"]
