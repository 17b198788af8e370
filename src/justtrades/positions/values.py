"""`replace` for the core's frozen slotted values, at less than half the cost of the standard one.

A trade's way makes some fifty copies of the lane. `dataclasses.replace` goes through `__init__` field by field;
this copies the slots as they are and then sets what changed. It is checked by types as the standard one, refuses
unknown names, and is for values without a `__post_init__`.
"""

from __future__ import annotations

from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from dataclasses import replace
else:
    T = TypeVar("T")
    _set: Final = object.__setattr__
    _copiers: Final[dict[type, tuple[attrgetter, tuple[Any, ...]]]] = {}

    def replace(value: T, /, **changes: Any) -> T:
        """A copy of `value` with these fields changed. AttributeError for a field it does not have."""
        kind = type(value)
        copier = _copiers.get(kind)
        if copier is None:
            copier = _copiers[kind] = _copier(kind)
        read, setters = copier
        made = object.__new__(kind)
        for setter, part in zip(setters, read(value), strict=True):
            setter(made, part)
        for name, part in changes.items():
            _set(made, name, part)
        return made

    def _copier(kind: type) -> tuple[attrgetter, tuple[Any, ...]]:
        names = [field.name for field in fields(kind)]
        if hasattr(kind, "__post_init__") or len(names) < 2:
            raise TypeError(f"{kind.__name__} is not for this kind of copy")
        return attrgetter(*names), tuple(getattr(kind, name).__set__ for name in names)


__all__ = ["replace"]
