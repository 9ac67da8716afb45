"""The section `mqtt`: the broker, as it is written and as the switch goes by it."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from callcenter.config.hashes import Variable
from callcenter.config.outside import Outside
from callcenter.config.problems import Code
from callcenter.config.shape import Duration, Name, Shape, mistake, tell
from callcenter.publish.settings import Broker, MqttSettings


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("mqtt", "mqtts") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
        parts = urlsplit("")
    if not good:
        raise mistake(
            Code.FORM, f"`{value}` is not the address of a broker", "write mqtt://HOST:1883 or mqtts://HOST:8883"
        )
    if parts.username or parts.password:
        raise mistake(
            Code.FORM,
            "a broker's address holds no user or password",
            "write `user:` beside it, and `password_env:` or `password_file:`",
        )
    return value


tell(_url, lambda inner: {**inner, "pattern": "^mqtts?://"})


class Mqtt(Shape):
    """``mqtt``: the broker."""

    broker: Literal["embedded", "off"] = "embedded"
    port: Annotated[int, Field(ge=0, le=65535)] = 1883
    monitor: bool = True
    pop_wait: Duration = 0.15
    url: Annotated[str, AfterValidator(_url)] | None = None
    user: str | None = None
    password_env: Variable | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    client_id: Name = "callcenter"

    @model_validator(mode="after")
    def _belongs_together(self) -> Mqtt:
        of_url = ("user", "password_env", "password_file", "ca_file", "cert_file", "key_file")
        if self.url is None and any(getattr(self, name) for name in of_url):
            raise mistake(
                Code.MISSING,
                "`user`, `password_env`, `password_file`, `ca_file`, `cert_file` and `key_file` need a `url`",
                "add url: mqtts://HOST:8883, or take them away",
            )
        if (self.ca_file or self.cert_file) and not str(self.url).startswith("mqtts:"):
            raise mistake(
                Code.FORM, "certificates are of use with TLS only", "write url: mqtts://..., or take them away"
            )
        if self.key_file and not self.cert_file:
            raise mistake(Code.MISSING, "`key_file` is the key of a certificate", "add `cert_file`, or take it away")
        if self.password_env and self.password_file:
            raise mistake(Code.FORM, "the password comes from two places", "keep `password_env` or `password_file`")
        if (self.password_env or self.password_file) and not self.user:
            raise mistake(Code.MISSING, "a password without a `user`", "add `user`, or take the password away")
        return self


def mqtt_settings(mqtt: Mqtt, outside: Outside) -> MqttSettings:
    """The same with its files, which are looked for."""
    outside.variable(("mqtt", "password_env"), mqtt.password_env)
    return MqttSettings(
        broker=Broker.URL if mqtt.url else Broker(mqtt.broker),
        port=mqtt.port,
        monitor=mqtt.monitor,
        url=mqtt.url,
        user=mqtt.user,
        password_env=mqtt.password_env,
        password_file=outside.file(("mqtt", "password_file")),
        ca_file=outside.file(("mqtt", "ca_file")),
        cert_file=outside.file(("mqtt", "cert_file")),
        key_file=outside.file(("mqtt", "key_file")),
        client_id=mqtt.client_id,
    )
