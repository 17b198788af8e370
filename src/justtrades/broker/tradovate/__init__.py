"""Tradovate behind the port: one login with all of its accounts, over REST and the user socket.

    broker      the port, and who owns which task
    ├── reads     look, picture, accounts, contracts: questions and their clean answers
    ├── entities  what has been heard so far, joined into orders, fills and positions
    ├── feed      the user socket: connect, authorize, sync, listen, reconnect
    │   └── frames    its frames and its life, without any I/O
    └── rest      one call with everything that can come between: tokens, tickets, penalties, budget
        ├── access    the token: log in, renew, never in a loop
        │   ├── auth      the calls of auth/*, within their rations
        │   ├── causes    why a log-in failed, for people
        │   └── token     what is kept of a log-in
        ├── budget    requests per minute and hour
        ├── penalty   when the broker says wait
        ├── answers   what a response says
        └── line      one HTTP attempt, gated, timed and audited

`requests` (what we send), `wire` (what we read) and `exact` (JSON with exact numbers) know nothing of these.
"""

from justtrades.broker.tradovate.broker import TradovateBroker
from justtrades.broker.tradovate.line import tls
from justtrades.broker.tradovate.settings import Credentials, OAuthLogin, TradovateSettings
from justtrades.broker.tradovate.token import Lull, MemoryTokenBox, NotKept, Refusal, Token, TokenBox

__all__ = [
    "Credentials",
    "Lull",
    "MemoryTokenBox",
    "NotKept",
    "OAuthLogin",
    "Refusal",
    "Token",
    "TokenBox",
    "TradovateBroker",
    "TradovateSettings",
    "tls",
]
