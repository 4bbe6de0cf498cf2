"""Stock, sales, orders, shipments and receipts become the position of each customer location and item."""
