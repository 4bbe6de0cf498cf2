"""The broker seen from outside a worker: how to reach it, its topics, and how far they go."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from ssl import SSLCertVerificationError

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAlreadyExistsError,
    for_code,
)

from vmi_contracts.topics import Topic
from vmi_runtime import kafka_client
from vmi_runtime.settings import KafkaSettings


class BrokerUnreachable(Exception):
    """No broker answers at the address; the message is one line that says which and what to do."""


@asynccontextmanager
async def admin(kafka: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    """Give an admin client, or raise BrokerUnreachable."""
    client = AIOKafkaAdminClient(**kafka_client.arguments(kafka), client_id="vmi-admin", request_timeout_ms=15_000)
    try:
        await client.start()
    except (KafkaConnectionError, OSError) as error:
        await client.close()
        raise BrokerUnreachable(await why_not(kafka, error)) from None
    try:
        yield client
    finally:
        await client.close()


async def why_not(kafka: KafkaSettings, error: Exception) -> str:
    """Return why no client comes to the broker, and what to do; a client itself says no more than that it does not."""
    arguments = kafka_client.arguments(kafka)
    address = arguments.pop("bootstrap_servers")
    host, port, _ = collect_hosts(address)[0]
    try:
        connection = await create_conn(host, port, request_timeout_ms=5_000, **arguments)
        connection.close()
    except SaslAuthenticationFailed:
        return (
            f"Kafka at {address} does not know the user {kafka.username!r} with this password: "
            "see VMI_KAFKA__USERNAME, VMI_KAFKA__PASSWORD and VMI_KAFKA__SASL_MECHANISM"
        )
    except SSLCertVerificationError as untrusted:
        return (
            f"the certificate of Kafka at {address} is not trusted ({untrusted.verify_message}): "
            "name who signed it in VMI_KAFKA__CA_FILE"
        )
    except (KafkaError, OSError) as other:
        error = other
    return (
        f"no Kafka answers at {address} ({error}): is it running (`vmi local status` tells), and does it speak "
        f"{kafka.security_protocol} there (VMI_KAFKA__SECURITY_PROTOCOL)?"
    )


async def create_topics(kafka: KafkaSettings, topics: Iterable[Topic]) -> list[str]:
    """Create the topics that are missing and return their names. Those that exist stay as they are."""
    wanted = [
        NewTopic(topic.name, topic.partitions, kafka.replication_factor, topic_configs=topic.config) for topic in topics
    ]
    async with admin(kafka) as client:
        existing = set(await client.list_topics())
        missing = [topic for topic in wanted if topic.name not in existing]
        if not missing:
            return []
        response = await client.create_topics(missing)
        for name, code, *message in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"{name}: {message[0] if message else ''}")
    return [topic.name for topic in missing]


async def missing_topics(kafka: KafkaSettings, topics: Iterable[Topic]) -> list[str]:
    """Return the names of the topics that the broker does not have."""
    async with admin(kafka) as client:
        existing = set(await client.list_topics())
    return [topic.name for topic in topics if topic.name not in existing]


async def cluster_id(kafka: KafkaSettings) -> str:
    """Return the cluster's own id: a new cluster starts its offsets again at 0."""
    async with admin(kafka) as client:
        return str((await client.describe_cluster())["cluster_id"])


async def partitions_and_config(
    kafka: KafkaSettings, topics: Sequence[Topic]
) -> dict[str, tuple[int, Mapping[str, str]]]:
    """Return the partitions and the settings that each topic has at the broker; topics that it lacks are left out."""
    async with admin(kafka) as client:
        existing = set(await client.list_topics())
        names = [topic.name for topic in topics if topic.name in existing]
        if not names:
            return {}
        described = await client.describe_topics(names)
        counts = {entry["topic"]: len(entry["partitions"]) for entry in described}
        config: dict[str, dict[str, str]] = {}
        wanted = {name: list(topics[0].config) for name in names}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(wanted[name])) for name in names]
        for response in await client.describe_configs(resources):
            for resource in response.resources:
                config[resource[3]] = {entry[0]: entry[1] for entry in resource[4]}
    return {name: (counts[name], config.get(name, {})) for name in names}


async def end_offsets(kafka: KafkaSettings, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """Return, for each partition of the topics, the offset that the next record will have."""
    consumer = AIOKafkaConsumer(**kafka_client.arguments(kafka), client_id="vmi-offsets")
    try:
        await consumer.start()
        partitions = [
            TopicPartition(topic, partition) for topic in topics for partition in (await _partitions(consumer, topic))
        ]
        ends = await consumer.end_offsets(partitions)
    except (KafkaError, OSError) as error:
        raise BrokerUnreachable(await why_not(kafka, error)) from None
    finally:
        await consumer.stop()
    return {(partition.topic, partition.partition): end for partition, end in ends.items()}


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    found = consumer.partitions_for_topic(topic)
    if found is None:
        await consumer._client.force_metadata_update()
        found = (await consumer._client.fetch_all_metadata()).partitions_for_topic(topic)
    return found or set()
