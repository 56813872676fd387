"""Model servers on this machine: who is asked, what counts as an answer, and that nobody is waited for."""

import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace

import pytest

from host.config.local import USUAL, look, providers

MODELS = json.dumps({"object": "list", "data": [{"id": "nomic-embed-text"}, {"id": "qwen3:8b"}, {"id": "llama3.2"}]})
OK = "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"


@contextmanager
def answering(*pieces, hang=False):
    """Answers each connection with these pieces; what it was asked is in the list that is given."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                held.append(connection)
                if hang and not pieces:
                    continue
                asked.append(connection.recv(4096).decode())
                for piece in pieces:
                    connection.sendall(piece.encode())
                if not hang:
                    connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1", asked
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    for connection in held:
        connection.close()


def known(**addresses):
    """The usual providers at these addresses, the others where nothing can listen."""
    nowhere = "http://127.0.0.1:1/v1"
    return {name: replace(one, base_url=addresses.get(name, nowhere)) for name, one in providers().items()}


def test_a_server_that_answers_is_found_with_its_models_that_can_chat():
    with answering(OK, MODELS) as (address, asked):
        (found,) = look(known(ollama=address), patience=10)
    assert (found.provider, found.title, found.base_url) == ("ollama", "Ollama", address)
    assert found.models == ("qwen3:8b", "llama3.2")
    assert found.model == "ollama/qwen3:8b"
    assert asked[0].startswith("GET /v1/models HTTP/1.0\r\n")


def test_all_are_asked_at_once_and_told_in_the_usual_order():
    with (
        answering(OK, MODELS) as (first, _),
        answering(OK, MODELS[:20], MODELS[20:], hang=True) as (second, _),
    ):
        found = look(known(vllm=first, lmstudio=second), patience=10)
    assert [one.provider for one in found] == ["lmstudio", "vllm"]


@pytest.mark.parametrize(
    "pieces",
    [
        ("HTTP/1.0 404 Not Found\r\n\r\n", MODELS),
        (OK, "<html>"),
        (OK, "[]"),
        (OK, '{"data": []}'),
        (OK, '{"data": [{"id": 7}]}'),
        (OK, '{"data": [{"id": "text-embedding-3"}]}'),
        (OK, "[" * 100_000),
        ("\x00\xff" * 50,),
        ("",),
    ],
)
def test_what_is_no_list_of_models_is_no_model_server(pieces):
    with answering(*pieces) as (address, _):
        assert look(known(jan=address), patience=10) == []


def test_who_does_not_answer_holds_up_nobody():
    with answering(hang=True) as (silent, _), answering(OK, MODELS) as (address, _):
        found = look(known(ollama=silent, jan=address), patience=0.5)
    assert [one.provider for one in found] == ["jan"]


def test_an_address_that_is_not_this_machine_is_not_asked():
    with answering(OK, MODELS) as (address, asked):
        port = address.rpartition(":")[2]
        for host in ("localhost", "0.0.0.0", "example.invalid"):
            assert look(known(ollama=f"http://{host}:{port}"), patience=1) == []
        assert look({name: replace(one, base_url=address, wire="responses") for name, one in providers().items()}) == []
    assert asked == []


def test_nothing_anywhere_is_nothing_found():
    assert look(known(), patience=10) == []
    assert set(USUAL) == {"ollama", "lmstudio", "llamacpp", "jan", "vllm"}
