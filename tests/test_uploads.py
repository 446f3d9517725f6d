"""Answers about uploads survive the start of a run, and nothing else is kept that was not."""

from __future__ import annotations

import subprocess
import sys

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.forward_msg_queue import ForwardMsgQueue

from components.uploads import keep_upload_addresses


def _queue() -> ForwardMsgQueue:
    queue = ForwardMsgQueue()
    answer, text = ForwardMsg(), ForwardMsg()
    answer.file_urls_response.response_id = "one"
    text.delta.new_element.text.body = "drawn"
    text.metadata.delta_path.append(0)
    queue.enqueue(text)
    queue.enqueue(answer)
    return queue


def test_the_address_survives_the_start_of_a_run() -> None:
    keep_upload_addresses()
    keep_upload_addresses()
    queue = _queue()
    queue.clear(retain_lifecycle_msgs=True)
    assert [one.WhichOneof("type") for one in queue.flush()] == ["file_urls_response"]
    assert queue.is_empty()


def test_in_a_fragment_it_is_sent_once() -> None:
    keep_upload_addresses()
    queue = _queue()
    queue.clear(retain_lifecycle_msgs=True, fragment_ids_this_run=["other"])
    kept = [one.WhichOneof("type") for one in queue.flush()]
    assert kept.count("file_urls_response") == 1


def test_streamlit_still_needs_it() -> None:
    """In a fresh interpreter, without the patch. When this fails, the patch can go."""
    code = (
        "from streamlit.proto.ForwardMsg_pb2 import ForwardMsg\n"
        "from streamlit.runtime.forward_msg_queue import ForwardMsgQueue\n"
        "queue, answer = ForwardMsgQueue(), ForwardMsg()\n"
        "answer.file_urls_response.response_id = 'one'\n"
        "queue.enqueue(answer)\n"
        "queue.clear(retain_lifecycle_msgs=True)\n"
        "print(queue.is_empty())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
