"""A question and its answers: all the board consists of."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

# Only forms enforce it; there so that nobody stores a novel and no page grows beyond reason.
LONGEST_TEXT = 20_000


class Post(models.Model):
    """What a question and an answer have in common: somebody wrote it, and may change it."""

    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="%(class)ss"
    )
    content = models.TextField(max_length=LONGEST_TEXT)
    # A default and not auto_now_add, so that `seed` can give each question its own time.
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    edited_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True

    def edit(self) -> None:
        """Save what a form has put into this post, and remember that it was edited."""
        self.edited_at = timezone.now()
        self.save()


class QuestionQuerySet(models.QuerySet["Question"]):
    def for_list(self) -> QuestionQuerySet:
        """With what the list shows of each, in one query.

        The answers are counted by a subquery for each row shown. ``Count("answers")`` would join
        and group the whole table before the first ten are picked, and Django ignores
        ``Meta.ordering`` when it groups.
        """
        answers = Answer.objects.filter(question=OuterRef("pk")).order_by()
        count = answers.values("question").annotate(count=Count("pk")).values("count")
        return self.select_related("author").annotate(answer_count=Coalesce(Subquery(count), 0))

    def search(self, keyword: str) -> QuestionQuerySet:
        """Those with the keyword in the subject, the content, an answer, or a name of an author."""
        if not keyword:
            return self
        # A join would repeat a question once for each of its answers that match.
        answers = Answer.objects.filter(
            Q(content__icontains=keyword) | Q(author__username__icontains=keyword),
            question=OuterRef("pk"),
        )
        return self.filter(
            Q(subject__icontains=keyword)
            | Q(content__icontains=keyword)
            | Q(author__username__icontains=keyword)
            | Exists(answers)
        )


class Question(Post):
    subject = models.CharField(max_length=200)

    objects = QuestionQuerySet.as_manager()

    class Meta:
        # The id breaks ties, or pages could repeat one question and lose another.
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["-created_at", "-id"], name="board_question_newest")]

    def __str__(self) -> str:
        return self.subject

    def get_absolute_url(self) -> str:
        return reverse("board:detail", args=[self.pk])


class Answer(Post):
    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="answers")

    class Meta:
        ordering = ["created_at", "id"]

    def __str__(self) -> str:
        return f"answer {self.pk} to question {self.question_id}"

    def get_absolute_url(self) -> str:
        return f"{reverse('board:detail', args=[self.question_id])}#answer-{self.pk}"
