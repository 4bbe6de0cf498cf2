"""Writes ``kafka.lock`` anew for a version of Kafka: ``python -m vmi_local.lock_jars 4.1.2``."""

import hashlib
import sys
from pathlib import Path

from jgo.maven import MavenContext

from vmi_local.directory import cache_directory

HEADER = """\
# Apache Kafka {version} with all it needs at run time, as Maven resolves org.apache.kafka:kafka_2.13, and
# log4j-slf4j-impl, without which it logs nothing. Each line: coordinate, sha256 of the jar.
# Made with: python -m vmi_local.lock_jars {version}
"""


def lock(version: str) -> str:
    """Return the lock's text, with the jars that Maven's rules give for ``version``."""
    context = MavenContext(repo_cache=cache_directory() / "maven")
    kafka = context.create_dependency(f"org.apache.kafka:kafka_2.13:{version}")
    inputs, transitive = context.resolver.resolve([kafka])
    artifacts = [dependency.artifact for dependency in inputs]
    artifacts += [dependency.artifact for dependency in transitive if dependency.scope in ("compile", "runtime")]
    [log4j] = [artifact.version for artifact in artifacts if artifact.artifactId == "log4j-core"]
    # Resolved by itself: beside Kafka its parent's versions would overrule those of Kafka's own jars.
    artifacts.append(context.create_dependency(f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}").artifact)
    lines = [
        f"{artifact.groupId}:{artifact.artifactId}:{artifact.version} "
        f"{hashlib.sha256(Path(artifact.resolve()).read_bytes()).hexdigest()}\n"
        for artifact in artifacts
    ]
    return HEADER.format(version=version) + "".join(sorted(lines))


if __name__ == "__main__":
    Path(__file__).with_name("kafka.lock").write_text(lock(sys.argv[1]))
