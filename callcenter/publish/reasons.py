"""Reasons: why a broker cannot be reached or refuses, in words that an operator understands."""

from __future__ import annotations

import socket
import ssl

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from callcenter.publish.publisher import Refused

# Reason codes of MQTT 5 (section 2.4): refusals begin here.
REFUSAL = 0x80
UNSUPPORTED_VERSION = 0x84
BAD_LOGIN = frozenset({0x86, 0x87})
NOT_AUTHORIZED = 0x87
TOPIC_INVALID = 0x90
FORMAT_INVALID = 0x99

# OpenSSL's numbers (X509_V_ERR_...) of what may be wrong with a certificate.
NOT_YET_VALID, EXPIRED = 9, 10
OTHER_NAME, OTHER_ADDRESS = 62, 64


def refusal(code: int) -> Refused | None:
    """What a PUBACK says (MQTT 5, 3.4.2.1); None: the broker took the message."""
    if code < REFUSAL:
        return None
    try:
        words = str(ReasonCode(PacketTypes.PUBACK, identifier=code))
    except KeyError:
        words = f"reason code {code:#x}"
    if code == NOT_AUTHORIZED:
        words = f"{words}: the login of mqtt.user may not write there"
    return Refused(words, for_ever=code in (TOPIC_INVALID, FORMAT_INVALID))


def why_not_connected(
    error: aiomqtt.MqttError, *, tls: bool, ca_file: object, client_certificate: bool, met: bool
) -> str:
    """Why a connection did not come up; ``met``: by this very address the broker has taken us before."""
    code = getattr(error, "rc", None)
    if isinstance(code, ReasonCode):
        return _refused_connection(code)
    # aiomqtt keeps the words and hides what raised them.
    match error.__context__:
        case ssl.SSLCertVerificationError() as cause:
            return _certificate(cause, ca_file)
        case ssl.SSLError() as cause:
            return _handshake(cause)
        case ConnectionResetError() | BrokenPipeError() if tls:
            return "the connection was closed in the TLS handshake: does this port speak TLS? Without it write mqtt://"
        case socket.gaierror() as cause:
            return f"the host is not known: {cause.strerror}"
        case TimeoutError():
            return f"no answer{' to the TLS handshake' if tls else ''} in time"
        case OSError() as cause:
            return str(cause)
        case _:
            pass
    text = why_lost(error)
    if text == CLOSED_FIRST and not met:
        if not tls:
            return f"{text}: does this port want TLS? Then write mqtts://"
        if not client_certificate:
            return f"{text}: does it want a certificate of ours? Then name mqtt.cert_file"
    return text


CLOSED_FIRST = "the broker closed the connection before it said a word"


def why_lost(error: BaseException) -> str:
    """Why a connection that was up is gone."""
    cause = error.__cause__
    shown = cause if isinstance(cause, aiomqtt.MqttError) else error
    code = getattr(shown, "rc", None)
    if isinstance(code, ReasonCode):
        # paho's word for a peer that is simply gone is Unspecified error.
        return "connection lost" if code.value == REFUSAL else str(code)
    text = " ".join(str(shown).split())
    return "connection lost" if "Unspecified error" in text else text or type(error).__name__


def _refused_connection(code: ReasonCode) -> str:
    if code.value == UNSUPPORTED_VERSION:
        return (
            "the broker speaks no MQTT 5 (Unsupported protocol version), which we need, so that a screen pop expires"
            " and a refusal is noticed: take a newer one"
        )
    if code.value in BAD_LOGIN:
        return f"the broker refuses our login ({code}): look at mqtt.user and its password"
    return f"the broker refuses the connection: {code}"


def _certificate(error: ssl.SSLCertVerificationError, ca_file: object) -> str:
    match error.verify_code:
        case _ if error.verify_code == EXPIRED:
            return "the broker's certificate has expired"
        case _ if error.verify_code == NOT_YET_VALID:
            return "the broker's certificate is not valid yet: look at the clocks"
        case _ if error.verify_code in (OTHER_NAME, OTHER_ADDRESS):
            return f"the broker's certificate is for another name: {error.verify_message}"
        case _:
            signed = f"not by an authority of mqtt.ca_file {ca_file}" if ca_file else "by nobody we know"
            hint = "" if ca_file else "; name its authority in mqtt.ca_file"
            return f"the broker's certificate is signed {signed} ({error.verify_message}){hint}"


def _handshake(error: ssl.SSLError) -> str:
    reason = error.reason or " ".join(str(error).split())
    match reason:
        case "WRONG_VERSION_NUMBER" | "RECORD_LAYER_FAILURE" | "UNEXPECTED_EOF_WHILE_READING":
            return f"this port does not speak TLS ({reason}): write mqtt://, or the port that does"
        case _ if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
            return f"the broker wants another certificate of ours ({reason}): look at mqtt.cert_file"
        case _ if isinstance(error, ssl.SSLEOFError):
            return "the connection was closed in the TLS handshake: does this port speak TLS? Without it write mqtt://"
        case _:
            return f"no TLS with the broker: {reason}"
