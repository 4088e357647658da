"""What every wing stands on, whatever it is about.

errors: one line that says what was expected, what came, what to do; text, paths: names as users write them.
atomic: files that are there whole or not at all; progress: who is told how far it is.
ahead, clock: threads that read ahead, seconds by phase.
heap, runtime: memory that a process keeps, the device and the arithmetic of a forward pass.
"""
