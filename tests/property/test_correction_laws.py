"""Laws of corrections: which documents stand depends on the set of them, and what is superseded stays so."""

from hypothesis import given
from hypothesis import strategies as st

from vmi_domain.stock.corrections import Version, standing, targets

names = st.sampled_from([b"A", b"B", b"C"])
versions = st.builds(
    lambda name, revision, others: Version(name, revision, targets(name, revision, others)),
    names,
    st.integers(0, 3),
    st.lists(st.tuples(names, st.none() | st.integers(0, 3)), max_size=2),
)


@given(said=st.lists(versions, max_size=8), data=st.data())
def test_the_order_and_repetition_of_arrival_do_not_change_what_stands(
    said: list[Version], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(said), max_size=3)) if said else []

    assert set(standing(data.draw(st.permutations([*said, *again])))) == set(standing(said))


@given(said=st.lists(versions, max_size=8), more=versions)
def test_a_further_document_never_brings_a_superseded_one_back(said: list[Version], more: Version) -> None:
    assert set(standing([*said, more])) <= {*standing(said), more}


@given(said=versions)
def test_no_version_supersedes_itself(said: Version) -> None:
    assert standing([said]) == [said]


@given(name=names, revisions=st.sets(st.integers(0, 5), min_size=1))
def test_of_a_documents_revisions_the_highest_stands(name: bytes, revisions: set[int]) -> None:
    said = [Version(name, revision, targets(name, revision, ())) for revision in revisions]

    assert [one.revision for one in standing(said)] == [max(revisions)]


def test_the_revisions_of_an_order_go_on_from_each_other() -> None:
    said = [Version(b"A", revision, targets(b"A", revision, (), revises=False)) for revision in (0, 1)]

    assert standing(said) == said
