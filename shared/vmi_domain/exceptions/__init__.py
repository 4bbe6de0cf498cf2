"""The few things a person must act on: when each begins and ends (rules), and its life in between (lifecycle)."""
