# Made by tools/unasync.py from core/rpc/_async/__init__.py. Change that file, then run the tool.
"""The I/O of the built-in transports. For sync code."""
