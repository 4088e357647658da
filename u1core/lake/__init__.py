"""The lake: hive-partitioned Parquet, written atomically, questioned in SQL.

schema: the tables; storage, remote: a disk or an object store; store: cells in it; lease, index: one writer,
many readers; verify, orphans, migrate: its upkeep. connect: DuckDB over it; views: the SQL files and which
reads which; guard: what a query may do; describe: what columns mean; digest: a sweep in a page of text;
accounts: where its pictures went; registrations: what was planned before it was seen.
"""
