"""Asking, answering, changing, deleting: who may, and what happens."""

from __future__ import annotations

from django.test import Client

from board.models import Answer, Question
from board.tests.sample import BoardTestCase


class DetailTest(BoardTestCase):
    def test_it_shows_the_question_and_its_answers_in_order(self) -> None:
        question = self.ask(1, content="See https://example.org/ for\nmore")
        self.answer(question, content="First")
        self.answer(question, content="Second")
        with self.assertNumQueries(2):
            response = self.client.get(f"/pybo/{question.pk}/")
        self.assertContains(response, "<h1>Subject 1</h1>")
        self.assertContains(response, '<a href="https://example.org/"')
        page = response.content.decode()
        self.assertLess(page.index("First"), page.index("Second"))

    def test_a_missing_question_is_a_404_with_our_page(self) -> None:
        for path in ("/pybo/999/", f"/pybo/{10**30}/", "/pybo/nonsense/", "/nonsense"):
            with self.subTest(path=path), self.assertLogs("django.request", "WARNING"):
                response = self.client.get(path)
                self.assertContains(response, "Page not found", status_code=404)
                self.assertTemplateUsed(response, "404.html")

    def test_only_the_author_is_offered_to_change_it(self) -> None:
        question = self.ask(1)
        change = f"/pybo/question/modify/{question.pk}/"
        self.assertNotContains(self.client.get(question.get_absolute_url()), change)
        self.client.force_login(self.bob)
        self.assertNotContains(self.client.get(question.get_absolute_url()), change)
        self.client.force_login(self.alice)
        self.assertContains(self.client.get(question.get_absolute_url()), change)


class QuestionTest(BoardTestCase):
    def test_asking(self) -> None:
        self.client.force_login(self.bob)
        self.assertContains(self.client.get("/pybo/question/create/"), "Ask a question")
        fields = {"subject": "New", "content": "Body"}
        response = self.client.post("/pybo/question/create/", fields, follow=True)
        question = Question.objects.get()
        self.assertRedirects(response, f"/pybo/{question.pk}/")
        self.assertContains(response, "Your question is posted.")
        self.assertEqual(
            (question.subject, question.content, question.author), ("New", "Body", self.bob)
        )
        self.assertIsNone(question.edited_at)

    def test_an_incomplete_question_comes_back_with_what_is_wrong(self) -> None:
        self.client.force_login(self.bob)
        response = self.client.post(
            "/pybo/question/create/", {"subject": "Kept words", "content": "  "}
        )
        self.assertContains(response, "This field is required.", count=1)
        self.assertContains(response, "Kept words")
        too_long = {"subject": "x" * 201, "content": "x" * 20_001}
        response = self.client.post("/pybo/question/create/", too_long)
        self.assertContains(response, "at most 200 characters")
        self.assertContains(response, "at most 20000 characters")
        self.assertFalse(Question.objects.exists())

    def test_changing(self) -> None:
        question = self.ask(1)
        self.client.force_login(self.alice)
        path = f"/pybo/question/modify/{question.pk}/"
        self.assertContains(self.client.get(path), "Content 1")
        self.assertRedirects(
            self.client.post(path, {"subject": "Other", "content": "Words"}),
            question.get_absolute_url(),
        )
        changed = Question.objects.get()
        self.assertEqual((changed.subject, changed.content), ("Other", "Words"))
        self.assertEqual(changed.created_at, question.created_at)
        self.assertIsNotNone(changed.edited_at)

    def test_deleting_asks_first_and_takes_the_answers_along(self) -> None:
        question = self.ask(1)
        self.answer(question)
        self.client.force_login(self.alice)
        path = f"/pybo/question/delete/{question.pk}/"
        self.assertContains(self.client.get(path), "Its 1 answer will be deleted with it")
        self.assertTrue(Question.objects.exists())
        self.assertRedirects(self.client.post(path), "/pybo/")
        self.assertFalse(Question.objects.exists() or Answer.objects.exists())


class AnswerTest(BoardTestCase):
    def test_answering(self) -> None:
        question, _ = self.ask(1), self.ask(2)
        self.client.force_login(self.bob)
        response = self.client.post(f"/pybo/answer/create/{question.pk}/", {"content": "Yes"})
        answer = question.answers.get()
        self.assertRedirects(response, f"/pybo/{question.pk}/#answer-{answer.pk}")
        self.assertEqual((answer.content, answer.author), ("Yes", self.bob))

    def test_an_empty_answer_comes_back_on_the_page_of_its_question(self) -> None:
        question = self.ask(1)
        self.client.force_login(self.bob)
        response = self.client.post(f"/pybo/answer/create/{question.pk}/", {"content": ""})
        self.assertContains(response, "This field is required.")
        self.assertContains(response, "<h1>Subject 1</h1>")
        self.assertFalse(Answer.objects.exists())

    def test_it_takes_a_post_and_a_question(self) -> None:
        self.client.force_login(self.bob)
        with self.assertLogs("django.request", "WARNING"):
            self.assertEqual(self.client.get("/pybo/answer/create/1/").status_code, 405)
            self.assertEqual(self.client.post("/pybo/answer/create/999/").status_code, 404)

    def test_changing_and_deleting(self) -> None:
        answer = self.answer(self.ask(1))
        self.client.force_login(self.bob)
        response = self.client.post(f"/pybo/answer/modify/{answer.pk}/", {"content": "Better"})
        self.assertRedirects(response, answer.get_absolute_url())
        self.assertEqual(Answer.objects.get().content, "Better")
        response = self.client.post(f"/pybo/answer/delete/{answer.pk}/")
        self.assertRedirects(response, answer.question.get_absolute_url())
        self.assertFalse(Answer.objects.exists())
        self.assertTrue(Question.objects.exists())


class PermissionTest(BoardTestCase):
    def setUp(self) -> None:
        self.question = self.ask(1)
        self.hers = self.answer(self.question, author=self.alice)
        self.paths = [
            f"/pybo/question/modify/{self.question.pk}/",
            f"/pybo/question/delete/{self.question.pk}/",
            f"/pybo/answer/modify/{self.hers.pk}/",
            f"/pybo/answer/delete/{self.hers.pk}/",
        ]

    def unchanged(self) -> None:
        self.assertEqual(Question.objects.get().content, "Content 1")
        self.assertEqual(Answer.objects.get().content, "An answer")

    def test_strangers_are_sent_to_log_in(self) -> None:
        answer = f"/pybo/answer/create/{self.question.pk}/"
        for path in [*self.paths, answer, "/pybo/question/create/"]:
            with self.subTest(path=path):
                response = self.client.post(path, {"subject": "x", "content": "x"})
                self.assertRedirects(response, f"/common/login/?next={path}")
        self.unchanged()

    def test_what_another_wrote_is_refused(self) -> None:
        self.client.force_login(self.bob)
        for path in self.paths:
            for method in (self.client.get, self.client.post):
                with self.subTest(path=path), self.assertLogs("django.request", "WARNING"):
                    response = method(path, {"subject": "x", "content": "x"})
                    self.assertContains(response, "Not yours to change", status_code=403)
        self.unchanged()

    def test_a_post_without_the_csrf_token_is_refused(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(self.alice)
        for path in self.paths:
            with self.subTest(path=path), self.assertLogs("django.security.csrf", "WARNING"):
                response = client.post(path, {"subject": "x", "content": "x"})
                self.assertContains(response, "Request not accepted", status_code=403)
        self.unchanged()
