"""What stands at a location and what is on its way: positions as a fold over facts, daily balances, supply lines."""
