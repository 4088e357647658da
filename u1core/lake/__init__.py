"""The lake: hive-partitioned Parquet, written atomically, questioned in SQL."""
