"""justtrades: TradingView alerts become protected, closed and recorded trades at Tradovate."""

__version__ = "0.1.0"
