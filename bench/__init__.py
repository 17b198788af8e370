"""What is measured and how: the engine beside two floors, on one machine, against one local broker stub.

Floor G answers an alert after a durable commit and does nothing else; floor F also commits an intent, sends one
order, and answers a fill with a second one. They do what nobody could leave out, so the ratio engine / floor says
what the engine's own work costs, whatever the machine. Everything runs as a process of its own; moments are read
from the monotonic clock that all processes of a machine share (nanoseconds). `README.md` tells the rest.
"""
