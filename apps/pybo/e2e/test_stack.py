"""Pybo as a visitor finds it, on real deployments of it:

    pip install causeway-gateway pytest
    pytest --stack ../../topologies/default.toml,../../topologies/nginx-gunicorn.toml e2e

Not a package, so that ``manage.py test``, which needs neither, does not look in here.
"""

import re
import signal
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

import pytest


@pytest.fixture
def visitor():
    """A browser of its own for each test."""
    return urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))


def test_the_list_begins_with_the_newest(stack, visitor):
    with visitor.open(stack + "/pybo/") as page:
        assert page.status == 200
        assert "Question number 300" in page.read().decode()


def test_static_files_stop_at_the_first_hop(stack, visitor):
    with visitor.open(stack + "/static/style.css") as file:
        assert file.headers["Content-Type"] == "text/css"
        assert file.headers["Last-Modified"]
    assert "/static/style.css" not in stack.hop("gateway").log()


def test_a_question_that_is_not_there(stack, visitor):
    with pytest.raises(urllib.error.HTTPError) as refused:
        visitor.open(stack + "/pybo/999999/")
    with refused.value as answer:
        assert answer.code == 404


def test_alice_logs_in(stack, visitor):
    """The form's token, its cookie and the Origin agree, whatever stands before Django."""
    with visitor.open(stack + "/common/login/") as page:
        token = re.search('name="csrfmiddlewaretoken" value="(.*?)"', page.read().decode())[1]
    fields = {"csrfmiddlewaretoken": token, "username": "alice", "password": "pybo-alice-pw"}
    form = urllib.request.Request(
        stack + "/common/login/",
        urllib.parse.urlencode(fields).encode(),
        {"Origin": str(stack), "Referer": stack + "/common/login/"},
    )
    with visitor.open(form) as page:
        assert page.url == stack + "/pybo/"
        assert "alice" in page.read().decode()


def test_nobody_waits_in_vain_while_it_reloads(stack, visitor):
    stack.hop("gateway").signal(signal.SIGHUP)
    for _ in range(20):
        with visitor.open(stack + "/pybo/") as page:
            assert page.status == 200
