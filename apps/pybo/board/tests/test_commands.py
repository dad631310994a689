"""``manage.py seed`` and ``manage.py runserver``."""

from __future__ import annotations

from io import StringIO

from django.contrib.auth import get_user_model
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import CommandError, call_command, load_command_class
from django.test import SimpleTestCase, override_settings

from board.management.commands.seed import PASSWORDS
from board.models import Answer, Question
from board.tests.sample import BoardTestCase


def seed(**options: object) -> str:
    out = StringIO()
    call_command("seed", stdout=out, **options)
    return out.getvalue()


class SeedTest(BoardTestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        """None of the usual users: an empty board."""

    def test_it_fills_the_board_and_says_so(self) -> None:
        self.assertIn("added 4 users, 300 questions and 600 answers", seed())
        self.assertEqual(Question.objects.count(), 300)
        self.assertEqual(Answer.objects.count(), 600)
        self.assertEqual(Question.objects.first().subject, "Question number 300")
        question = Question.objects.get(subject="Question number 271")
        self.assertEqual((question.author.username, question.answers.count()), ("jihoon", 2))
        own = Answer.objects.filter(question=question, author=question.author)
        self.assertFalse(own.exists())

    def test_again_it_adds_nothing(self) -> None:
        seed(questions=5)
        self.assertIn("nothing added", seed(questions=5))
        Question.objects.get(subject="Question number 2").delete()
        self.assertIn("added 0 users, 3 questions", seed(questions=7))
        self.assertEqual(Question.objects.count(), 7)

    def test_one_can_log_in_as_alice_and_bob_and_nobody_else(self) -> None:
        seed(questions=0)
        for name, password in PASSWORDS.items():
            self.assertTrue(self.client.login(username=name, password=password))
        self.assertFalse(get_user_model().objects.get(username="minji").has_usable_password())

    def test_somebody_elses_alice_keeps_her_password(self) -> None:
        get_user_model().objects.create_user("alice", password="her own")
        seed(questions=0)
        self.assertTrue(self.client.login(username="alice", password="her own"))

    def test_a_negative_number_is_refused(self) -> None:
        with self.assertRaisesMessage(CommandError, '--questions is "-1"'):
            seed(questions=-1)


class RunserverTest(SimpleTestCase):
    @override_settings(DEBUG=False)
    def test_it_serves_static_files_in_production_settings(self) -> None:
        command = load_command_class("board", "runserver")
        options = vars(command.create_parser("manage.py", "runserver").parse_args([]))
        self.assertIsInstance(command.get_handler(**options), StaticFilesHandler)
