"""The optics of CNN bottlenecks: energy, angles, frames, memory search and the lake they are kept in.

Nothing here knows about orchestration: `tasks` and `flows` import this package, never the reverse.
"""
