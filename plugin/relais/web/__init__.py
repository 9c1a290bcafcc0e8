"""The web layer: a Flask application behind one REST callback of Orthanc."""
