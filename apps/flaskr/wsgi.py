"""What a WSGI server imports: ``wsgi:application``."""

from flaskr import create_app

application = create_app()
