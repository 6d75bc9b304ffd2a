"""`twistd parachute`. Nothing else is imported here: every twistd command loads this file."""

from twisted.application.service import ServiceMaker

parachute = ServiceMaker(
    "Parachute Hub",
    "parachute_hub.tap",
    "Supervise, route to and sign in for your own modules.",
    "parachute",
)
