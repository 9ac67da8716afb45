"""The section `media`: sound, as it is written and as the switch goes by it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from callcenter.config.addresses import Hosts
from callcenter.config.codecs import Codecs
from callcenter.config.outside import Outside
from callcenter.config.problems import Code
from callcenter.config.shape import Duration, Positive, Shape, mistake, none_for, tell
from callcenter.config.sip import Sip
from callcenter.ledger.quality import Alarm
from callcenter.media.settings import USUAL_CODECS, MediaSettings, Srtp


def _ports(value: Any) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})\s*-\s*(\d{1,5})", str(value))
    if not found:
        raise mistake(Code.FORM, f"`{value}` is not a range of ports", "write it as 16384-32767")
    low, high = int(found[1]), int(found[2])
    if not 1024 <= low < high <= 65535:
        raise mistake(
            Code.FORM, f"`{value}` does not lie between 1024 and 65535, the lower first", "write it as 16384-32767"
        )
    return low, high


tell(_ports, lambda _: {"type": "string", "pattern": r"^\d{1,5}\s*-\s*\d{1,5}$"})


class QualityAlarm(Shape):
    """When a trunk is told to sound bad: when half of its latest ``of`` legs have a score ``below`` this."""

    below: Annotated[float, Field(gt=1, lt=4.4)] = 3.6
    of: Annotated[int, Field(ge=2, le=1000)] = 20


class Media(Shape):
    """``media``: sound."""

    ports: Annotated[tuple[int, int], BeforeValidator(_ports)] = (16384, 32767)
    port_rest: Duration = 5.0
    workers: Annotated[Annotated[int, Field(ge=1, le=256)] | None, none_for("auto")] = None
    advertised: Hosts = ()
    silence_timeout: Positive = 60.0
    missing_after: Positive = 5.0
    codecs: Codecs = USUAL_CODECS  # type: ignore[assignment]  # four of the names
    srtp: Literal["off", "optional", "required"] = "optional"
    srtp_without_tls: bool = False
    max_load: Annotated[float, Field(gt=0, le=1)] = 0.7
    max_late: Positive = 0.02
    one_way_after: Positive = 10.0
    quality_alarm: Annotated[QualityAlarm | None, none_for("off")] = QualityAlarm()


def media_settings(media: Media, sip: Sip, outside: Outside) -> MediaSettings | None:
    """The same as the media plane goes by it; None when it cannot be so, which is noted."""
    try:
        return MediaSettings(
            ports=media.ports,
            port_rest=media.port_rest,
            workers=media.workers,
            advertised=media.advertised,
            local_networks=tuple(map(str, sip.local_networks)),
            silence_timeout=media.silence_timeout,
            missing_after=media.missing_after,
            codecs=media.codecs,
            srtp=Srtp(media.srtp),
            srtp_without_tls=media.srtp_without_tls,
            max_load=media.max_load,
            max_late=media.max_late,
            one_way_after=media.one_way_after,
            quality_alarm=Alarm(alarm.below, alarm.of) if (alarm := media.quality_alarm) is not None else None,
        )
    except ValueError as error:
        key, _, rest = str(error).partition(": ")
        outside.problem(Code.FORM, ("media", key), rest or str(error), "")
        return None
