"""Ways of sending, one module each, behind one port."""

from relais.transports.port import SendingError, Transport

__all__ = ["SendingError", "Transport"]
