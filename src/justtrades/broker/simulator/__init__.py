"""A simulated Tradovate: a pure venue with a durable ledger, behind Tradovate's own REST and socket."""

from justtrades.broker.simulator.paper import Paper, embedded, run_paper, serve_paper

__all__ = ["Paper", "embedded", "run_paper", "serve_paper"]
