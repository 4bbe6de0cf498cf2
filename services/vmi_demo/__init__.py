"""A retailer's year through the whole service: simulated stores that sell, report, accept and receive."""
