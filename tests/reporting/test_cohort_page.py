"""Names of files and anchors of the page about a cohort."""

from mmspec_ds.reporting.cohort_page import slugs_of


def test_comparisons_of_one_slug_are_numbered() -> None:
    names = ("HER2+ against healthy", "HER2- against healthy", "рак", "норма")
    assert list(slugs_of(names).values()) == [
        "her2_against_healthy",
        "her2_against_healthy-2",
        "comparison",
        "comparison-2",
    ]
