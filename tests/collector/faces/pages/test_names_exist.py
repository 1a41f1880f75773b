"""Do the names that templates and scripts use exist? Django shows nothing for a name that it does not find."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.messages.storage.base import Message
from django.db.models import QuerySet
from django.forms.boundfield import BoundField, BoundWidget
from django.forms.formsets import BaseFormSet
from django.http import HttpRequest
from django.template import Variable, engines

import fabgate.collector
from fabgate.collector.faces.pages.words.formatting import STATES

ROOT = Path(fabgate.collector.__file__).parent
TEMPLATES = {str(path.relative_to(ROOT / "templates")): path.read_text("utf-8") for path in ROOT.rglob("*.html")}
SCRIPTS = "\n".join(path.read_text("utf-8") for path in (ROOT / "static").glob("*.js"))
CODE = [path.read_text("utf-8") for path in ROOT.parent.rglob("*.py")]
#: Names of Django's: those that its templates know, attributes of instances, and those of classes.
DJANGO = {
    "True",
    "False",
    "None",
    "forloop",
    "counter",
    "counter0",
    "parentloop",
    "is_bound",
    "as_hidden_initial",
    "view_name",
}.union(
    *map(
        dir, (AbstractBaseUser, BoundField, BoundWidget, HttpRequest, Message, QuerySet, dict, forms.Form, BaseFormSet)
    )
)


def names_of_code() -> set[str]:
    """Return every attribute, function, argument and string: keys of contexts are strings, columns as in ``-used``, too."""
    found = set()
    for node in (node for text in CODE for node in ast.walk(ast.parse(text))):
        match node:
            case ast.Constant(str(name)) | ast.keyword(str(name)) | ast.FunctionDef(name):
                found.add(name.removeprefix("-"))
            case ast.Name(name, ast.Store()) | ast.Attribute(_, name, ast.Store()):
                found.add(name)
    return found


def names_bound(source: str) -> set[str]:
    """Return the names that a template gives itself, or what it includes."""
    tags = " ".join(re.findall(r"{%.*?%}", source))
    loops = re.findall(r"{% for ([\w, ]+) in ", source)
    return {*re.findall(r"\bas (\w+)", tags), *re.findall(r"\b(\w+)=", tags), *re.findall(r"\w+", " ".join(loops))}


def names_used(source: str) -> set[str]:
    """Return the names that a template looks up, and their attributes."""
    # In a translated block, names are looked up when it is rendered.
    found = set(re.findall(r"{{ ?([a-z]\w*)", re.sub(r"{% comment.*?endcomment %}", "", source)))
    with pytest.MonkeyPatch.context() as patch:
        begin = Variable.__init__

        def init(self: Variable, var: str) -> None:
            begin(self, var)
            found.update(self.lookups or ())

        patch.setattr(Variable, "__init__", init)
        engines["django"].from_string(source)
    return {name for name in found if not name.isdigit()}


def test_each_name_in_a_template_is_one_of_the_code():
    known = names_of_code().union(DJANGO, *map(names_bound, TEMPLATES.values()))
    unknown = {
        (template, name)
        for template, source in TEMPLATES.items()
        for name in names_used(source)
        if not {name, re.sub("^get_(.+)_display$|_id$", r"\1", name)} & known
    }
    assert unknown == set()


def test_a_name_that_no_code_has_is_found():
    assert names_used("{% if a.b %}{{ c|default:d }}{% blocktranslate %}{{ e }}{% endblocktranslate %}{% endif %}") == {
        *"abcde"
    }


def test_each_state_that_a_template_shows_has_a_picture_and_a_word():
    shown = {(name, state) for name, text in TEMPLATES.items() for state in re.findall(r'{% state "([^"]+)"', text)}
    assert len(shown) > 10
    assert {(name, state) for name, state in shown if state not in STATES} == set()


def test_each_template_is_used():
    texts = "\n".join([*CODE, *(re.sub(r"{% comment.*?endcomment %}", "", text) for text in TEMPLATES.values())])
    assert [name for name in TEMPLATES if not re.search(rf'["/]{re.escape(Path(name).name)}["\']', texts)] == []


def test_each_attribute_and_id_that_a_script_uses_is_in_a_page():
    pages = "\n".join([*TEMPLATES.values(), *CODE])
    named = {re.sub("([A-Z])", r"-\1", name).lower() for name in re.findall(r"\bdataset\??\.(\w+)", SCRIPTS)}
    named.update(re.findall(r"\bdata-([a-z]+(?:-[a-z]+)*)", SCRIPTS))
    ids = set(re.findall(r'getElementById\("([\w-]+)"\)', SCRIPTS))
    assert len(named) > 15
    assert {name for name in named if not re.search(rf"\bdata-{name}\b(?!-)", pages)} == set()
    assert {name for name in ids if f'id="{name}"' not in pages} == set()
