"""Failed runs are told to a real HTTP server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dagster as dg
import pytest

from elasticity_assets.automation import failure_webhook as module
from elasticity_assets.automation.failure_webhook import WEBHOOK, failure_webhook, send
from elasticity_assets.inference import engines
from elasticity_assets_tests.support.projects import CATEGORIES, Project, make_project


class ChatTool:
    """Takes messages, after refusing so many."""

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []
        self.refuse, self.asked = 0, 0
        tool = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                tool.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(500 if tool.asked <= tool.refuse else 200)
                self.end_headers()
                if tool.asked > tool.refuse:
                    tool.messages.append(json.loads(body))

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}/secret-token"


@pytest.fixture
def chat_tool() -> Iterator[ChatTool]:
    tool = ChatTool()
    thread = threading.Thread(target=tool.server.serve_forever)
    thread.start()
    yield tool
    tool.server.shutdown()
    thread.join()
    tool.server.server_close()


@pytest.fixture
def project(tmp_path) -> Project:
    project = make_project(tmp_path)
    assert project.ingest().success
    return project


def tell(project: Project, result: dg.ExecuteInProcessResult) -> object:
    """Evaluate the sensor on a failed run."""
    run = project.instance.get_run_by_id(result.run_id)
    event = next(event for event in result.all_events if event.is_run_failure)
    context = dg.build_run_status_sensor_context(
        sensor_name="failure_webhook",
        dagster_instance=project.instance,
        dagster_run=run,
        dagster_event=event,
    ).for_run_failure()
    return failure_webhook(context)


def test_a_failed_refit_is_told_with_its_reasons(project: Project, chat_tool, monkeypatch) -> None:
    fit = engines.fit

    def broken(panel, *args, **kwargs):
        if panel.category == CATEGORIES[0]:
            raise ValueError("no luck")
        return fit(panel, *args, **kwargs)

    monkeypatch.setattr(engines, "fit", broken)
    result = project.refit()
    assert not result.success
    assert isinstance(tell(project, result), dg.SkipReason)
    assert chat_tool.asked == 0
    monkeypatch.setenv(WEBHOOK, chat_tool.url)
    tell(project, result)
    (message,) = chat_tool.messages
    assert message["title"] == f"elasticity_assets: refit failed (run {result.run_id})"
    assert (
        message["message"] == "category 'CHEESE' was not refitted, its last numbers stay: ValueError: no luck"
    )


def test_a_chat_tool_that_is_down_for_a_moment_is_tried_again(chat_tool, monkeypatch) -> None:
    monkeypatch.setattr(module, "_SECONDS_BETWEEN", 0.1)
    chat_tool.refuse = 1
    send(chat_tool.url, "title", "body")
    assert chat_tool.asked == 2
    assert [message["message"] for message in chat_tool.messages] == ["body"]


def test_what_cannot_be_told_fails_without_the_url(chat_tool, monkeypatch, caplog, capfd) -> None:
    monkeypatch.setattr(module, "_SECONDS_BETWEEN", 0.0)
    chat_tool.refuse = 10
    with pytest.raises(dg.Failure, match="did not take the message") as refused:
        send(chat_tool.url, "title", "body")
    with pytest.raises(dg.Failure, match="no URL of a chat tool") as unknown:
        send("secret-token://x", "title", "body")
    said = [str(error.value.description) for error in (refused, unknown)]
    assert "secret-token" not in "".join([*said, caplog.text, *capfd.readouterr()])


def test_a_category_whose_name_is_a_mention_a_link_or_an_image_is_only_text(chat_tool) -> None:
    hostile = (
        "@everyone @here <!channel> <@U1> <http://127.0.0.1:9|x> ![x](http://127.0.0.1:9/i.png) <b>x</b>"
    )
    send(
        chat_tool.url,
        "title",
        module.shortened([f"category {part!r} was not refitted" for part in hostile.split()]),
    )
    (message,) = chat_tool.messages
    assert "everyone" in message["message"], "it can be read"
    for acted_on in ("@everyone", "@here", "@U1", "<", ">", "://", "]("):
        assert acted_on not in message["message"]


def test_long_messages_are_cut() -> None:
    assert module.shortened(["a"] * 12).splitlines() == ["a"] * 10 + ["and 2 more"]
    assert len(module.shortened(["many words " * 100] * 20)) < 2000  # Discord's limit


def test_a_run_that_is_started_again_is_told_as_such() -> None:
    run = dg.DagsterRun(job_name="refit", tags={"dagster/will_retry": "true"})
    assert module.title(run).endswith("; it is started again")
