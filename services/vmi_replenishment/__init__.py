"""Position, forecast and agreement become proposals; their life until the goods are received."""
