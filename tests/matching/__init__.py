"""How well matching works: invented people of Quebec, FEBRL's data sets, and other programs beside."""
