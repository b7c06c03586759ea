"""failure_webhook: tells a chat tool of each failed run, where the environment names one."""

import logging
import os
import textwrap

import dagster as dg
from tenacity import Retrying, retry_if_result, stop_after_attempt, wait_fixed

from elasticity_assets.automation.run_failures import why_it_failed

WEBHOOK = "ELASTICITY_WEBHOOK_URL"
"""Environment variable: where failures are told, in the words of the library apprise."""

_ATTEMPTS = 3
_SECONDS_BETWEEN = 5.0
_NOTHING = "\u200b"  # a space that nobody sees
_INERT = {"@": f"@{_NOTHING}", "<": "‹", ">": "›", "](": f"]{_NOTHING}(", "://": f":{_NOTHING}//"}
"""What chat tools make mentions, links and images of, and what looks the same and is none."""

_MOST_LINES, _MOST_CHARACTERS = 10, 1500


@dg.run_failure_sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=15,
    monitor_all_code_locations=True,  # runs of the `elasticity` command belong to none
)
def failure_webhook(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    """Tell the webhook that ELASTICITY_WEBHOOK_URL names of each failed run, and why it failed; off without it."""
    url = os.environ.get(WEBHOOK)
    if not url:
        return dg.SkipReason(f"{WEBHOOK} is not set")
    run = context.dagster_run
    send(url, title(run), shortened(why_it_failed(context.instance, run.run_id)))
    return None


def title(run: dg.DagsterRun) -> str:
    """Say which run failed, and whether Dagster starts it again by itself."""
    again = "; it is started again" if run.tags.get("dagster/will_retry") == "true" else ""
    return f"elasticity_assets: {run.job_name} failed (run {run.run_id}){again}"


def shortened(lines: list[str]) -> str:
    """Join lines, only so many of them, each cut and `inert`: a chat tool refuses long messages."""
    more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    most = _MOST_CHARACTERS // _MOST_LINES
    shown = [textwrap.shorten(inert(line), most) for line in lines[:_MOST_LINES]]
    return "\n".join([*shown, *more])


def inert(text: str) -> str:
    """Take from a text what a chat tool would act on: names of categories are whatever sales files hold."""
    for sign, harmless in _INERT.items():
        text = text.replace(sign, harmless)
    return text


def send(url: str, title: str, body: str) -> None:
    """Send a message, trying three times.

    Raises
    ------
    Failure
        If it could not be sent. The URL is a secret, and not told.
    """
    import apprise  # noqa: PLC0415

    logging.getLogger("apprise").disabled = True  # it logs URLs
    chat = apprise.Apprise()
    if not chat.add(url):
        raise dg.Failure(f"{WEBHOOK} is no URL of a chat tool; see docs/operations.md", allow_retries=False)
    attempts = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_fixed(_SECONDS_BETWEEN),
        retry=retry_if_result(lambda sent: not sent),
        retry_error_callback=lambda _: False,
    )
    if not attempts(chat.notify, body=body, title=title, body_format=apprise.NotifyFormat.TEXT):
        raise dg.Failure(f"the chat tool that {WEBHOOK} names did not take the message", allow_retries=False)
