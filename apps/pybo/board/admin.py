"""The board in Django's admin; a user for it is made by ``manage.py createsuperuser``."""

from django.contrib import admin

from board.models import Answer, Question


@admin.register(Question)
class QuestionAdmin(admin.ModelAdmin):
    list_display = ["subject", "author", "created_at"]
    list_select_related = ["author"]
    search_fields = ["subject", "content"]
    autocomplete_fields = ["author"]


@admin.register(Answer)
class AnswerAdmin(admin.ModelAdmin):
    list_display = ["question", "author", "created_at"]
    list_select_related = ["author", "question"]
    search_fields = ["content"]
    autocomplete_fields = ["author", "question"]
