# Made by tools/unasync.py from core/client/_async/__init__.py. Change that file, then run the tool.
"""The shells that do the I/O of calls. For sync code."""
