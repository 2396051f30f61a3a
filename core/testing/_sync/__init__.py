# Made by tools/unasync.py from core/testing/_async/__init__.py. Change that file, then run the tool.
"""Contracts that have two colours, for async code."""
