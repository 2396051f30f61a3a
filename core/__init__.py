"""The core: contracts, discovery rules, dispatch, and the shells that do the I/O.

It knows no provider and no balancer: they come in through the plug-in door.
"""
