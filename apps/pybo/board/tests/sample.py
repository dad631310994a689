"""What the tests of the board stand on: two users and a few questions, made without hashing."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.test import TestCase, override_settings

from board.models import Answer, Question

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


# The real hashers take a quarter of a second for each password, on purpose.
@override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"])
class BoardTestCase(TestCase):
    alice: User
    bob: User

    @classmethod
    def setUpTestData(cls) -> None:
        users = get_user_model().objects
        cls.alice = users.create_user("alice", password="alice-password")
        cls.bob = users.create_user("bob", password="bob-password")

    def ask(self, number: int = 1, **fields: object) -> Question:
        """A question of alice, asked `number` minutes after the first."""
        return Question.objects.create(
            **{
                "subject": f"Subject {number}",
                "content": f"Content {number}",
                "author": self.alice,
                "created_at": LONG_AGO + timedelta(minutes=number),
                **fields,
            }
        )

    def answer(self, question: Question, **fields: object) -> Answer:
        """An answer of bob."""
        return Answer.objects.create(
            **{"question": question, "content": "An answer", "author": self.bob, **fields}
        )
