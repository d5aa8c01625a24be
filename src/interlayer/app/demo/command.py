"""The command `interlayer demo`: serve the page.

`interlayer.app.demo.page.build` makes the page and `interlayer.app.demo.server.launch` serves it,
in a notebook too; both need the extra `demo`.
"""

from __future__ import annotations

import os

from interlayer.app.demo.choices import MAX_SECONDS, PORT
from interlayer.app.demo.uploads import folder_of_page
from interlayer.errors import InputError
from interlayer.weights import loading


def serve_page(
    port: int = PORT,
    open_browser: bool = True,
    auth: str | None = None,
    max_seconds: float = MAX_SECONDS,
    host: str = "127.0.0.1",
    generator: str = "faces",
) -> None:
    """Serve the page until Ctrl-C; what visitors upload is gone from the disk afterwards.

    Args:
        port: port to listen on.
        open_browser: whether to show it in the browser of this machine.
        auth: ``USER:PASSWORD`` that every visitor must give; ``None`` asks for nothing.
        max_seconds: time in seconds after which a recovery is stopped and its best estimate shown.
        host: address to listen on; only this machine by default.
        generator: named weights or a weights file.

    Raises:
        InputError: if the extra is not installed, ``auth`` has no colon, the port is taken or the
            generator does not exist.
    """
    credentials = _credentials(auth)
    # What gradio is to know must be in the environment before it is imported.
    with folder_of_page() as uploads:
        os.environ |= {"GRADIO_TEMP_DIR": str(uploads), "GRADIO_ANALYTICS_ENABLED": "False"}
        try:
            from interlayer.app.demo.page import build
            from interlayer.app.demo.server import launch
        except ImportError as error:
            raise InputError(
                f"the page cannot be made ({error}); run pip install 'interlayer[demo]'"
            ) from None
        model = loading.load(generator)
        page = build(model, name=generator, max_seconds=max_seconds)
        launch(page, host=host, port=port, open_browser=open_browser, auth=credentials)


def _credentials(auth: str | None) -> tuple[str, str] | None:
    """User and password of ``USER:PASSWORD``.

    >>> _credentials("ada:a:b")
    ('ada', 'a:b')
    """
    if auth is None:
        return None
    user, _, password = auth.partition(":")
    if not user or not password:
        raise InputError("--auth needs a name and a password; write --auth USER:PASSWORD")
    return user, password
