"""The manual: what of it is written from the code (`make docs`), and the tests that keep it true."""
