"""Made quickly and still as Django would: the rows of a long table, icons. Nothing that a person wrote becomes a tag."""

from __future__ import annotations

import pytest
from django.template import engines
from django.utils.safestring import mark_safe


def rendered(text: str, **context: object) -> str:
    return engines["django"].from_string(text).render(context)


@pytest.mark.parametrize("rows", [[{"who": "Zoé"}, {"who": "Ada"}], ({"who": who} for who in ("Zoé", "Ada"))])
def test_what_is_between_the_tags_stands_once_for_each_row(rows):
    text = "{% each rows %}<td title='{{ label }}'>{who}</td>{% endeach %}"
    assert rendered(text, rows=rows, label="Person") == "<td title='Person'>Zoé</td><td title='Person'>Ada</td>"


def test_cells_may_go_by_their_place():
    assert rendered("{% each rows %}{1}{0} {% endeach %}", rows=[("a", 1), ("b", 2)]) == "1a 2b "


def test_no_row_is_nothing():
    assert rendered("{% each rows %}<tr>{who}</tr>{% endeach %}", rows=[]) == ""


def test_what_a_person_wrote_becomes_no_tag_and_ends_no_attribute():
    found = rendered("""{% each rows %}<td title="{who}">{who}</td>{% endeach %}""", rows=[{"who": '"><b>{x}'}])
    assert found == '<td title="&quot;&gt;&lt;b&gt;{x}">&quot;&gt;&lt;b&gt;{x}</td>'


def test_what_was_made_safe_stays_as_it_is():
    assert rendered("{% each rows %}{0}{% endeach %}", rows=[[mark_safe("<i>*</i>")]]) == "<i>*</i>"


def test_a_label_that_a_person_wrote_is_no_tag_although_the_same_was_made_safe_before():
    label = '"><b>one</b>'
    assert '"><b>' in rendered("{% icon 'check' label %}", label=mark_safe(label))
    assert '"><b>' not in rendered("{% icon 'check' label %}", label=label)
