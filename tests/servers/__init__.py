"""Real servers for tests, benchmarks and the demo: Orthanc, PostgreSQL, a receiver, senders, a proxy."""
