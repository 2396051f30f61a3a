"""Seeded runs of the whole engine in virtual time, against a network, a control plane and a clock that cannot be
trusted. After every step the invariants are looked at.

One seed gives one course of events: `python -m chaos --seed 7` (with `PYTHONPATH=src:tests/support`) shows it again.
"""
