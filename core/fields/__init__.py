"""Types for the fields of settings models: ours and those of plug-ins."""

from .duration import Duration, format_duration, parse_duration
from .file_path import FilePath
from .secret import Referenced, Secret, SecretContext
from .server_name import ServerName

__all__ = [
    "Duration",
    "FilePath",
    "Referenced",
    "Secret",
    "SecretContext",
    "ServerName",
    "format_duration",
    "parse_duration",
]
