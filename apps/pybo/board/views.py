"""The pages of the board.

Reading is for everyone, writing for those who are logged in, changing and deleting for the author
alone: anybody else gets a 403. Whatever changes the database is a POST and answers with a
redirect, so that reloading the page repeats nothing.
"""

from __future__ import annotations

from typing import TypeVar

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from board.forms import AnswerForm, QuestionForm, SearchForm
from board.models import Answer, Post, Question

QUESTIONS_PER_PAGE = 10

PostType = TypeVar("PostType", bound=Post)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The list, newest first: ``?page=2``, ``?kw=word``."""
    search = SearchForm(request.GET)
    keyword = search.cleaned_data["kw"] if search.is_valid() else ""
    questions = Question.objects.search(keyword).for_list()
    if search.errors:
        questions = questions.none()
    paginator = Paginator(questions, QUESTIONS_PER_PAGE)
    # `get_page` rather than `page`: a number out of range is an old link, not an error.
    page = paginator.get_page(request.GET.get("page"))
    context = {
        "search": search,
        "keyword": keyword,
        "page": page,
        "page_numbers": paginator.get_elided_page_range(page.number, on_each_side=2, on_ends=1),
        "ellipsis": Paginator.ELLIPSIS,
    }
    return render(request, "board/index.html", context)


@require_safe
def detail(request: HttpRequest, question_id: int) -> HttpResponse:
    return question_page(request, question_id, AnswerForm())


def question_page(request: HttpRequest, question_id: int, form: AnswerForm) -> HttpResponse:
    """One question with its answers, and the form for another."""
    question = get_object_or_404(Question.objects.select_related("author"), pk=question_id)
    answers = question.answers.select_related("author")
    context = {"question": question, "answers": answers, "form": form}
    return render(request, "board/detail.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def question_create(request: HttpRequest) -> HttpResponse:
    form = QuestionForm(request.POST or None)
    if form.is_valid():
        form.instance.author = request.user
        question = form.save()
        messages.success(request, "Your question is posted.")
        return redirect(question)
    context = {"form": form, "title": "Ask a question", "action": "Post question"}
    return render(request, "board/post_form.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def question_modify(request: HttpRequest, question_id: int) -> HttpResponse:
    question = own_or_403(request, Question, question_id)
    return modify(request, QuestionForm(request.POST or None, instance=question), "question")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def question_delete(request: HttpRequest, question_id: int) -> HttpResponse:
    question = own_or_403(request, Question, question_id)
    if request.method != "POST":
        context = {"post": question, "what": "question", "answers": question.answers.count()}
        return render(request, "board/confirm_delete.html", context)
    question.delete()
    messages.success(request, "Your question is deleted.")
    return redirect("board:index")


@login_required
@require_POST
def answer_create(request: HttpRequest, question_id: int) -> HttpResponse:
    question = get_object_or_404(Question, pk=question_id)
    form = AnswerForm(request.POST)
    if not form.is_valid():
        return question_page(request, question_id, form)
    form.instance.author = request.user
    form.instance.question = question
    answer = form.save()
    messages.success(request, "Your answer is posted.")
    return redirect(answer)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def answer_modify(request: HttpRequest, answer_id: int) -> HttpResponse:
    answer = own_or_403(request, Answer, answer_id)
    return modify(request, AnswerForm(request.POST or None, instance=answer), "answer")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def answer_delete(request: HttpRequest, answer_id: int) -> HttpResponse:
    answer = own_or_403(request, Answer, answer_id)
    if request.method != "POST":
        context = {"post": answer, "what": "answer"}
        return render(request, "board/confirm_delete.html", context)
    answer.delete()
    messages.success(request, "Your answer is deleted.")
    return redirect(answer.question)


def crash(request: HttpRequest) -> HttpResponse:
    """Fails, so that a test can see what an error looks like from outside (``PYBO_CRASH=1``)."""
    raise RuntimeError(f"asked to crash by {request.method} {request.path}")


def own_or_403(request: HttpRequest, model: type[PostType], post_id: int) -> PostType:
    """The post, if it exists and the user wrote it."""
    post = get_object_or_404(model.objects.select_related("author"), pk=post_id)
    if post.author != request.user:
        raise PermissionDenied(f"only {post.author} may change this")
    return post


def modify(request: HttpRequest, form: QuestionForm | AnswerForm, what: str) -> HttpResponse:
    """Show the form with the post in it; when a valid one comes back, save it."""
    post = form.instance
    if form.is_valid():
        post.edit()
        messages.success(request, f"Your {what} is changed.")
        return redirect(post)
    context = {
        "form": form,
        "title": f"Edit your {what}",
        "action": "Save changes",
        "cancel": post.get_absolute_url(),
    }
    return render(request, "board/post_form.html", context)
