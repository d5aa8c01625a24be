"""Serving the page: to this machine only unless told otherwise, and asking nothing of any other."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.themes import Default
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from interlayer.app.demo.choices import PORT
from interlayer.app.demo.guard import HostGuard
from interlayer.app.demo.parts import HERE
from interlayer.errors import InputError
from interlayer.weights.cache import to_stderr

MAX_UPLOAD = 20 * 2**20  # bytes
MOST_SESSIONS = 64  # whose pictures are remembered
HEADERS = {
    # gradio's templates are compiled in the browser; nothing may come from or go to elsewhere
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' "
    "'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
THEME = Default(
    primary_hue="indigo",
    neutral_hue="slate",
    font=("system-ui", "sans-serif"),
    font_mono=("ui-monospace", "monospace"),
).set(
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
)


class SecurityHeaders:
    """ASGI middleware that adds `HEADERS` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), value.encode()) for name, value in HEADERS.items()),
                ]
            await send(message)

        await self.app(scope, receive, send_with_headers)


def launch(
    page: gr.Blocks,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    open_browser: bool = True,
    auth: tuple[str, str] | None = None,
    block: bool = True,
) -> str:
    """Serve a page made by `build` and return its address; ``/health`` answers without it.

    Args:
        page: the page.
        host: address to listen on; only this machine by default.
        port: port to listen on.
        open_browser: whether to show it in the browser of this machine.
        auth: name and password that every visitor must give.
        block: whether to serve until Ctrl-C. In a notebook pass ``False``: the page is shown below
            the cell and served until ``page.close()``.

    Raises:
        InputError: if the port is taken.
    """
    options: dict[str, Any] = {
        "middleware": [Middleware(SecurityHeaders), Middleware(HostGuard, host=host)],
        "routes": [Route("/health", _health)],
    }
    try:
        _, address, _ = page.launch(
            server_name=host,
            server_port=port,
            inbrowser=open_browser,
            auth=auth,
            prevent_thread_lock=True,
            quiet=True,
            app_kwargs=options,
            theme=THEME,
            css_paths=HERE / "page.css",
            max_file_size=MAX_UPLOAD,
            state_session_capacity=MOST_SESSIONS,
            share=False,
            show_error=False,
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
            footer_links=[],
        )
    except OSError:
        raise InputError(f"port {port} cannot be listened at; choose another, --port N") from None
    to_stderr(f"the page is at {address}")
    if block:
        page.block_thread()
    return address


async def _health(request: Request) -> Response:
    return JSONResponse({"status": "ok"})
