"""The question list: order, pages, search."""

from __future__ import annotations

from urllib.parse import quote

from django.http import HttpResponse

from board.tests.sample import BoardTestCase


def subjects(response: HttpResponse) -> list[str]:
    return [question.subject for question in response.context["page"]]


class ListTest(BoardTestCase):
    def test_the_root_leads_to_the_list(self) -> None:
        self.assertRedirects(self.client.get("/"), "/pybo/")

    def test_an_empty_board_says_so(self) -> None:
        self.assertContains(self.client.get("/pybo/"), "No questions yet")

    def test_newest_first_ten_to_a_page(self) -> None:
        for number in range(1, 26):
            self.ask(number)
        self.assertEqual(
            subjects(self.client.get("/pybo/")), [f"Subject {n}" for n in range(25, 15, -1)]
        )
        self.assertEqual(
            subjects(self.client.get("/pybo/?page=3")), [f"Subject {n}" for n in range(5, 0, -1)]
        )

    def test_questions_of_the_same_moment_keep_one_order(self) -> None:
        for number in range(1, 26):
            self.ask(0, subject=f"Subject {number}")
        pages = [subjects(self.client.get(f"/pybo/?page={page}")) for page in (1, 2, 3)]
        self.assertEqual(
            [*pages[0], *pages[1], *pages[2]], [f"Subject {n}" for n in range(25, 0, -1)]
        )

    def test_a_page_out_of_range_is_the_nearest_one(self) -> None:
        for number in range(1, 12):
            self.ask(number)
        for page, expected in {"99": 2, "0": 2, "x": 1, "": 1}.items():
            with self.subTest(page=page):
                response = self.client.get("/pybo/", {"page": page})
                self.assertEqual(response.context["page"].number, expected)

    def test_page_links_keep_the_keyword(self) -> None:
        for number in range(1, 12):
            self.ask(number)
        response = self.client.get("/pybo/?kw=Subject")
        self.assertContains(response, 'rel="next" href="?kw=Subject&amp;page=2"')
        self.assertNotContains(response, 'rel="prev"')
        self.assertContains(response, 'aria-current="page" aria-label="Page 1"')

    def test_each_row_counts_its_answers(self) -> None:
        question = self.ask(1)
        self.ask(2)
        for _ in range(3):
            self.answer(question)
        counts = [row.answer_count for row in self.client.get("/pybo/").context["page"]]
        self.assertEqual(counts, [0, 3])

    def test_the_number_of_queries_does_not_grow_with_the_rows(self) -> None:
        for number in range(1, 9):
            self.answer(self.ask(number))
        with self.assertNumQueries(2):  # how many, and these ten
            self.client.get("/pybo/")

    def test_it_is_read_only(self) -> None:
        with self.assertLogs("django.request", "WARNING"):
            self.assertEqual(self.client.post("/pybo/").status_code, 405)
        self.assertEqual(self.client.head("/pybo/").status_code, 200)

    def test_what_users_typed_is_escaped(self) -> None:
        self.ask(1, subject="<script>alert(1)</script>", content="<img src=x>")
        response = self.client.get("/pybo/")
        self.assertContains(response, "&lt;script&gt;alert(1)&lt;/script&gt;")
        self.assertNotContains(response, "<img src=x>")


class SearchTest(BoardTestCase):
    def found(self, keyword: str) -> list[str]:
        return subjects(self.client.get("/pybo/", {"kw": keyword}))

    def test_it_looks_in_subject_content_answers_and_authors(self) -> None:
        self.ask(1, subject="About sockets")
        self.ask(2, content="My sockets are torn")
        self.answer(self.ask(3), content="Try sockets")
        self.answer(self.ask(4))
        self.ask(5, author=self.bob)
        self.assertEqual(self.found("SOCKETS"), ["Subject 3", "Subject 2", "About sockets"])
        self.assertEqual(self.found("bob"), ["Subject 5", "Subject 4", "Subject 3"])
        self.assertEqual(self.found("nothing like it"), [])

    def test_a_question_with_many_matching_answers_is_found_once(self) -> None:
        question = self.ask(1)
        for _ in range(3):
            self.answer(question, content="sockets")
        self.answer(question, content="other")
        response = self.client.get("/pybo/?kw=sockets")
        self.assertEqual(subjects(response), ["Subject 1"])
        self.assertEqual(response.context["page"][0].answer_count, 4)

    def test_korean_and_spaces_around(self) -> None:
        self.ask(1, subject="장고에서 페이징은?")
        response = self.client.get(f"/pybo/?kw=+{quote('페이징')}+")
        self.assertEqual(subjects(response), ["장고에서 페이징은?"])
        self.assertContains(response, "1 question with “페이징”")

    def test_wildcards_of_sql_are_just_characters(self) -> None:
        self.ask(1)
        self.assertEqual(self.found("%"), [])
        self.assertEqual(self.found("Subject_1"), [])

    def test_what_can_not_be_searched_finds_nothing_and_says_why(self) -> None:
        self.ask(1)
        response = self.client.get("/pybo/?kw=Sub%00ject")
        self.assertContains(response, "Null characters are not allowed")
        self.assertEqual(subjects(response), [])
        self.assertContains(self.client.get("/pybo/", {"kw": "x" * 101}), "at most 100 characters")

    def test_the_keyword_is_escaped(self) -> None:
        response = self.client.get("/pybo/", {"kw": '"><script>'})
        self.assertNotContains(response, '"><script>')
