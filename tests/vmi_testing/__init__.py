"""What tests share: builders of valid documents, brokers, databases, waiting with a deadline."""
