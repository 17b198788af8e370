"""The engine's audit of itself: what must always hold, asked of its own rows.

`rows` reads what is young, on one snapshot; `signals`, `orders`, `exits` and `fills` are pure functions of it that
yield one sentence for each thing that must not be; `checks` lists them by the invariant they stand for; `auditor`
asks them again and again while the engine runs. The command line, the simulation and the crash tests ask the very
same functions. Nothing here changes or stops anything.
"""
