"""Addresses that stand in a file of their own, which somebody keeps up to date."""

from .entries import FileEntry
from .provider import FileProvider

__all__ = ["FileEntry", "FileProvider"]
