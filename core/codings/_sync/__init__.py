# Made by tools/unasync.py from core/codings/_async/__init__.py. Change that file, then run the tool.
"""Bodies of streamed replies. For sync code."""
