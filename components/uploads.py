"""Keep an upload alive while the page is drawn anew.

Streamlit 1.67 forgets the answer to "where may I send this file?" when a run of the script begins
before the answer has left the server (`ForwardMsgQueue.clear` keeps messages about the script
only). The browser then waits for ever and the file is lost without a word. The same queue keeps
such answers here. See `docs/decisions/0009-uploads-survive-a-rerun.md`.
"""

from __future__ import annotations

from functools import wraps

from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

__all__ = ["keep_upload_addresses"]

_ADDRESSES = "file_urls_response"


def keep_upload_addresses() -> None:
    """Let answers about uploads survive the start of a run. Calling it again changes nothing."""
    clear = ForwardMsgQueue.clear
    if getattr(clear, "keeps_upload_addresses", False):
        return

    @wraps(clear)
    def clear_but_addresses(
        self: ForwardMsgQueue,
        retain_lifecycle_msgs: bool = False,
        fragment_ids_this_run: list[str] | None = None,
    ) -> None:
        waiting = [one for one in self._queue if one.WhichOneof("type") == _ADDRESSES]
        clear(self, retain_lifecycle_msgs, fragment_ids_this_run)
        if retain_lifecycle_msgs:
            kept = {id(one) for one in self._queue}
            self._queue.extend(one for one in waiting if id(one) not in kept)

    clear_but_addresses.keeps_upload_addresses = True  # type: ignore[attr-defined]
    ForwardMsgQueue.clear = clear_but_addresses  # type: ignore[method-assign]
