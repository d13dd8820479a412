"""Apache Kafka itself, from its published jars, for the integration tests."""
