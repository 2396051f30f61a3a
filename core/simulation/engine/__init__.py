"""The whole engine of one service in virtual time: a testing tool.

Discovery, routing, tiers, pools, balancers, ejection, slow start, the retry budget and the dispatch are the real ones.
Only what does I/O is made up: the network, the control plane, and the clock. So a run of hours takes seconds, and the
same seed gives the same course of events.
"""

from .network import Answer, ControlPlane, Network, Told
from .pollers import VirtualPollers
from .service import VirtualService
from .virtual_call import VirtualCall

__all__ = ["Answer", "ControlPlane", "Network", "Told", "VirtualCall", "VirtualPollers", "VirtualService"]
