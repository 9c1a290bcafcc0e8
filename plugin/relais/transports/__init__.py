"""Ways of sending, one module each, behind one port."""

from relais.transports.port import Content, Item, SendingError, Stop, Transport

__all__ = ["Content", "Item", "SendingError", "Stop", "Transport"]
