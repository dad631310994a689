"""``manage.py seed``: fills the board with the same questions every time.

Everything follows from a question's number (its words, author, time and answers), so a test may
count on finding "Question number 271" where it expects it. What is already there stays as it is:
running it twice adds nothing.
"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime, timedelta, timezone

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from board.models import Answer, Question

# Known to everybody who can read this file: for tests and for looking around, on loopback.
PASSWORDS = {"alice": "pybo-alice-pw", "bob": "pybo-bob-pw"}
# These write, too, but nobody can log in as them.
WRITERS = [*PASSWORDS, "minji", "jihoon"]

FIRST_DAY = datetime(2026, 1, 5, 9, 0, tzinfo=timezone.utc)
BETWEEN_QUESTIONS = timedelta(minutes=61)

TOPICS = [
    "What is the difference between the web server and the WSGI server?\n\n"
    "runserver seems to do the work of both, so why would I need two programs in production?",
    "My page has no style since I turned DEBUG off.\n\n"
    "The HTML arrives, but every css and js file is a 404. Who is supposed to serve them?",
    "장고에서 페이징은 어떻게 구현하나요?\n\n"
    "질문 목록이 길어져서 한 페이지에 10건씩만 보여주고 싶습니다.",
    "502 Bad Gateway after a restart.\n\n"
    "The error log says: connect() to unix:/tmp/gunicorn.sock failed (2: No such file or directory)"
    " while connecting to upstream. Which of the two is not running?",
    "Where does <script>alert('hello')</script> go?\n\n"
    'I typed it into a form & it came back as text. Is that "escaping"?',
    "A unix socket or a port?\n\nBoth work between my two servers. See also"
    " https://docs.djangoproject.com/en/5.2/howto/deployment/wsgi/ for what Django says.",
    "CSRF verification failed. Request aborted.\n\n"
    "Only behind the proxy and only on port 8080. What does Host have to do with it?",
    "How do I keep one slow request from holding up the others?\n\n☕ It takes long enough for a"
    " coffee, and meanwhile nobody else gets an answer.",
]
REPLIES = [
    "The web server reads a file and returns it. Only what has to be computed goes on to Python.",
    "Look at the log of the hop that answered, not at that of the one you suspect.",
    "공식 문서의 예제를 먼저 따라 해 보세요.",
    "It worked for me after `collectstatic`, and after checking who may read the folder.",
    "Same here. I will watch this question.",
]


class Command(BaseCommand):
    help = "Fill the board with questions, answers and two users one can log in as."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--questions", type=int, default=300, metavar="N", help="how many (default: 300)"
        )

    def handle(self, *, questions: int, **_options: object) -> None:
        if questions < 0:
            raise CommandError(f'--questions is "{questions}": it can not be negative')
        with transaction.atomic():
            users = add_users()
            asked = add_questions(questions)
            answered = add_answers(asked)
        if not (users or asked):
            self.stdout.write("seed: everything is there already, nothing added")
            return
        self.stdout.write(
            f"seed: added {users} users, {len(asked)} questions and {answered} answers;"
            f" log in as alice with the password {PASSWORDS['alice']}"
        )


def subject_of(number: int) -> str:
    return f"Question number {number}"


def writer_of(number: int) -> str:
    return WRITERS[number % len(WRITERS)]


def time_of(number: int) -> datetime:
    return FIRST_DAY + number * BETWEEN_QUESTIONS


def writers() -> dict[str, AbstractBaseUser]:
    users = get_user_model().objects.filter(username__in=WRITERS)
    return {user.get_username(): user for user in users}


def add_users() -> int:
    """Add the missing ones; nobody's password is changed."""
    user_model = get_user_model()
    present = writers()
    missing = [name for name in WRITERS if name not in present]
    # make_password(None) is a password that nothing matches.
    user_model.objects.bulk_create(
        user_model(username=name, password=make_password(PASSWORDS.get(name))) for name in missing
    )
    return len(missing)


def add_questions(count: int) -> dict[int, Question]:
    """Add the missing ones; returns the new ones by their number."""
    authors = writers()
    seeded = Question.objects.filter(subject__startswith="Question number ")
    present = set(seeded.values_list("subject", flat=True))
    missing = {
        number: Question(
            subject=subject_of(number),
            content=TOPICS[number % len(TOPICS)],
            author=authors[writer_of(number)],
            created_at=time_of(number),
        )
        for number in range(1, count + 1)
        if subject_of(number) not in present
    }
    Question.objects.bulk_create(missing.values())
    return missing


def add_answers(questions: dict[int, Question]) -> int:
    """Between none and four for each, never by the one who asked."""
    authors = writers()
    answers = [
        Answer(
            question=question,
            content=REPLIES[(number + turn) % len(REPLIES)],
            author=authors[writer_of(number + 1 + turn % (len(WRITERS) - 1))],
            created_at=time_of(number) + timedelta(minutes=7 * (turn + 1)),
        )
        for number, question in questions.items()
        for turn in range(number * 7 % 5)
    ]
    Answer.objects.bulk_create(answers)
    return len(answers)
