"""The conformance kit: what every plug-in keeps to, as tests to subclass. Needs pytest and hypothesis."""

from .canaries import Canaries
from .conversation import Answer, Asked, Cloud, Told, talk
from .guard import alone
from .listings import Listed
from .provider_contract import ProviderContract

__all__ = ["Answer", "Asked", "Canaries", "Cloud", "Listed", "ProviderContract", "Told", "alone", "talk"]
