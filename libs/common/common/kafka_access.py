"""How we come in at Kafka's brokers, TLS and SASL: as FastStream is told, and as aiokafka is."""

from typing import Any

from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from common.settings import BrokerSettings

_KINDS = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}


def security_of(settings: BrokerSettings) -> BaseSecurity:
    """For FastStream's broker."""
    tls = settings.kafka_tls()
    if settings.kafka_sasl_username and settings.kafka_sasl_password and settings.kafka_security_protocol.startswith("SASL"):
        kind, password = _KINDS[settings.kafka_sasl_mechanism], settings.kafka_sasl_password.get_secret_value()
        return kind(settings.kafka_sasl_username, password, ssl_context=tls)
    return BaseSecurity(ssl_context=tls)


def access_options(settings: BrokerSettings) -> dict[str, Any]:
    """As aiokafka names them: where the brokers are, and how we come in."""
    return {"bootstrap_servers": settings.kafka_bootstrap_servers, **parse_security(security_of(settings))}
