"""File doors: CSV and Parquet files in and out, so that a history can be judged without a broker."""
