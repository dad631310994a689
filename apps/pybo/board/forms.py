"""The forms of the board; what they refuse is said next to the field."""

from django import forms

from board.models import Answer, Question


class QuestionForm(forms.ModelForm):
    class Meta:
        model = Question
        fields = ["subject", "content"]
        widgets = {"content": forms.Textarea(attrs={"rows": 10})}


class AnswerForm(forms.ModelForm):
    class Meta:
        model = Answer
        fields = ["content"]
        labels = {"content": "Your answer"}
        widgets = {"content": forms.Textarea(attrs={"rows": 6})}


class SearchForm(forms.Form):
    """A form although it is one field: it strips, bounds, and refuses NUL, as PostgreSQL does."""

    kw = forms.CharField(
        required=False,
        max_length=100,
        label="Search questions",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Search"}),
    )
