"""What crosses the wire: topics, documents and the envelope they travel in."""
