import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.log_streams import (
    LARGEST_BODY,
    LONGEST_DELAY,
    PLACEHOLDERS,
    SAMPLE,
    STANDARD,
    BatchFormat,
    Line,
    Template,
    TemplateInvalid,
    body_of,
    delay_after,
)

LINE = Line("log_1", datetime(2021, 11, 16, 18, 34, 43, 123_456, UTC), "warn", 'Say "hi"\n\\o/ ü', "execution")


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ('{"m": "{{ message }}"}', {"m": 'Say "hi"\n\\o/ ü'}),
        ('{"m": {{message}}}', {"m": 'Say "hi"\n\\o/ ü'}),
        ('{"m": "[{{ severity }}] {{ message }}"}', {"m": '[warn] Say "hi"\n\\o/ ü'}),
        ('{"t": {{ timestamp }}, "s": {{ timestamp_s }}}', {"t": 1637087683123, "s": 1637087683}),
        ('{"t": "{{ timestamp_ns }}"}', {"t": "1637087683123456000"}),
        ('{"t": "{{ timestamp_iso }}"}', {"t": "2021-11-16T18:34:43.123Z"}),
        ('{"e": "{{ execution_id }}", "n": {{ execution_id }}}', {"e": "", "n": None}),
        ('{"test": {{ is_test }}, "as text": "{{ is_test }}"}', {"test": False, "as text": "false"}),
        ('{"sev": {{ severityNumber }}, "of": "{{ instanceId }}{{ flowConfigId }}"}', {"sev": 4, "of": ""}),
        ('{"a \\" b": "{{ type }}", "{{ severity }}": 1}', {'a " b': "execution", "warn": 1}),
        ('{\n  "m": 1\n}', {"m": 1}),
    ],
)
def test_json_template(template: str, rendered: object) -> None:
    made = Template(template)
    assert made.is_json
    text = made.render(LINE)
    assert json.loads(text) == rendered
    assert "\n" not in text


def test_text_template_is_of_one_line() -> None:
    made = Template("{{ timestamp_iso }} {{ severity }} {{ message }}{{ step }}")
    assert not made.is_json
    assert made.render(LINE) == '2021-11-16T18:34:43.123Z warn Say "hi" \\o/ ü'


def test_message_is_not_a_template_itself() -> None:
    said = replace(LINE, message="{{ customer_name }}", customer_name="Acme")
    assert json.loads(Template('["{{ message }}"]').render(said)) == ["{{ customer_name }}"]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ('{"m": "{{ mesage }}"}', "There is no placeholder mesage; did you mean message?"),
        ("{{ x }}", "There is no placeholder x; there are id, timestamp, "),
        ('{"m": "{{ message }}"\n', "A template of several lines must be JSON"),
    ],
)
def test_template_that_cannot_be(template: str, message: str) -> None:
    with pytest.raises(TemplateInvalid, match=message.replace("?", r"\?")):
        Template(template)


def test_standard_template_has_everything_once() -> None:
    rendered = json.loads(Template(STANDARD).render(SAMPLE))
    assert rendered["timestamp_iso"] == "2026-03-01T12:00:00.123Z"
    assert set(PLACEHOLDERS) - set(rendered) == {"timestamp", "timestamp_s", "timestamp_ns", "severity_number"}


@pytest.mark.parametrize(
    ("batch_format", "template", "content", "content_type", "lines"),
    [
        (BatchFormat.ARRAY, '["{{ id }}"]', '[["log_1"],["log_2"]]', "application/json", 2),
        (BatchFormat.LINES, '["{{ id }}"]', '["log_1"]\n["log_2"]\n', "application/x-ndjson", 2),
        (BatchFormat.LINES, "id {{ id }}", "id log_1\nid log_2\n", "text/plain; charset=utf-8", 2),
        (BatchFormat.SINGLE, '["{{ id }}"]', '["log_1"]', "application/json", 1),
        (BatchFormat.SINGLE, "id {{ id }}", "id log_1", "text/plain; charset=utf-8", 1),
    ],
)
def test_body(batch_format: BatchFormat, template: str, content: str, content_type: str, lines: int) -> None:
    made = body_of(Template(template), [LINE, replace(LINE, id="log_2")], batch_format)
    assert (made.content.decode(), made.content_type, made.lines) == (content, content_type, lines)


def test_body_takes_as_many_lines_as_fit() -> None:
    long = replace(LINE, message="ä" * 60_000)
    made = body_of(Template('"{{ message }}"'), [long] * 20, BatchFormat.ARRAY)
    assert made.lines == 7
    assert len(made.content) <= LARGEST_BODY
    alone = body_of(Template('"{{ message }}"'), [replace(LINE, message="x" * LARGEST_BODY)] * 2, BatchFormat.LINES)
    assert alone.lines == 1


def test_delays_are_doubled_up_to_a_limit() -> None:
    assert [delay_after(failures) for failures in (1, 2, 5)] == [timedelta(seconds=each) for each in (1, 2, 16)]
    assert delay_after(1_000) == LONGEST_DELAY
