"""Content codings: bodies that travel compressed."""
