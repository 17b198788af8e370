"""Moving in from the system this replaces: what its `just_trades.db` holds, as far as it can be taken.

`old` reads the file as untrusted input, `plan` decides what of it is taken and says what is not and why. Writing is the
API's (`api.moving`): the same rules, the same audit, whether an engine runs or not.
"""

from justtrades.moving.old import NotReadable, read
from justtrades.moving.plan import OpenPosition, Plan, plan

__all__ = ["NotReadable", "OpenPosition", "Plan", "plan", "read"]
