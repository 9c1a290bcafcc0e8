"""What Relais knows and decides, as values and pure functions."""
