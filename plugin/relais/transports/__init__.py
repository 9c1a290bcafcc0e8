"""Ways of sending, one module each, behind one port."""

from relais.transports.port import Commits, Content, Item, SendingError, Stop, Transport

__all__ = ["Commits", "Content", "Item", "SendingError", "Stop", "Transport"]
