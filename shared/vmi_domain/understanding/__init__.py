"""What customers and items are like: profiles of their demand, and the classes that follow."""
