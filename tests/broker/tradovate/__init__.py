"""The Tradovate adapter against recorded facts and small stand-ins."""
