"""Services: what the script of a call may use; made once by ``app/house.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from callcenter.acd.estimate import Pace
from callcenter.calls.call_control import CallControl
from callcenter.calls.circle import Circles
from callcenter.calls.consult import Consults
from callcenter.calls.facts import FactStream
from callcenter.calls.line import Places
from callcenter.calls.settings import CallsSettings
from callcenter.media.plane import MediaPlane
from callcenter.model.ids import Ids
from callcenter.runtime.clock import Clock
from callcenter.signaling.trunks.board import TrunkBoard
from callcenter.signaling.user_agent import UserAgent
from callcenter.sip.registrar import Binding
from callcenter.storage.callers import Callers
from callcenter.storage.customers import Customers

if TYPE_CHECKING:
    from callcenter.calls.call import Call
    from callcenter.calls.callback import Callbacks
    from callcenter.calls.dispatcher import Dispatcher
    from callcenter.calls.do_not_call import DoNotCall
    from callcenter.calls.followups import Followups
    from callcenter.calls.recordings import Recordings
    from callcenter.publish.publisher import Publisher
    from callcenter.signaling.leg import Leg


@dataclass(slots=True)
class Services:
    """Everything a call script reaches, from general to special.

    ``settings`` are replaced by a reload; each call keeps those it began with. ``pace``: how fast queues are served
    of late. ``phones_of`` an agent are those that
    are registered, the one to be called first in front. ``call_of`` a leg is the call that it is in.
    """

    clock: Clock
    ids: Ids
    stream: FactStream
    settings: CallsSettings
    plane: MediaPlane
    user_agent: UserAgent
    dispatcher: Dispatcher
    pace: Pace
    phones_of: Callable[[str], tuple[Binding, ...]]
    customers: Customers
    callers: Callers
    publisher: Publisher
    trunks: TrunkBoard
    call_of: Callable[[Leg], Call | None]
    places: Places
    circles: Circles = field(default_factory=Circles)
    consults: Consults = field(default_factory=Consults)
    controls: CallControl = field(default_factory=CallControl)
    dial_own: Callable[[Leg], bool] = field(init=False)
    """Has an agent's call dialled that begins within the switch; False when it is none."""
    obey_code: Callable[[str, str], None] = field(init=False)
    """Obeys a code that an agent, the first, has pressed in a talk."""
    callbacks: Callbacks = field(init=False)
    """Set behind the making: it uses these itself."""
    recordings: Recordings = field(init=False)
    """As the callbacks."""
    do_not_call: DoNotCall = field(init=False)
    """As the callbacks."""
    followups: Followups = field(init=False)
    """As the callbacks."""
