"""The outbox goes to Kafka, in order per key."""
