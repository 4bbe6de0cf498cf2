"""The maths of inventory, forecasts and replenishment: values in, values out."""
