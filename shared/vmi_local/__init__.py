"""The embedded default: Apache Kafka and Postgres on this machine, started and stopped by us."""
