"""Contracts that have two colours, for async code."""
