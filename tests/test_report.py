"""The page of a run: what stands where, how values are said, and that broken records still get a page."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import page_fixture
import pytest
from page_fixture import BASE, PNG, code, context, display, facts, markdown, notebook, record, table

from rbnb.report import render_run
from rbnb.text import one_line, visible


class Reader(HTMLParser):
    """Collects what a test asks of a page: tags in order, text, headings with their ids."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.headings, self.ids, self._open = [], [], [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        """Note a tag, its id, and whether a heading begins."""
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        self._open = tag
        if re.fullmatch("h[1-6]", tag):
            self.headings.append([int(tag[1]), ""])

    def handle_endtag(self, _tag):
        """Note that the text of a tag ends."""
        self._open = ""

    def handle_data(self, data):
        """Note text that a reader sees."""
        if self._open in ("style", "title"):
            return
        self.text.append(data)
        if re.fullmatch("h[1-6]", self._open):
            self.headings[-1][1] += data

    @property
    def words(self):
        """All text on one line."""
        return re.sub("[ \n]+", " ", "".join(self.text))


def page(nb=None, rec=None, ctx=None):
    """Render with the made-up incident where nothing else is given."""
    return render_run(
        notebook(charts={}) if nb is None else nb, record() if rec is None else rec, context=ctx or context()
    )


def only(*outputs):
    """A page whose notebook holds just these outputs."""
    return page({"cells": [markdown("## 1 · One", "one"), code("x", *outputs, stage="one")]})


def body_class(html):
    """The status colour of a page."""
    return re.search(r'<body class="(\w+)"', html)[1]


@pytest.fixture(scope="module")
def sample():
    """The page of the made-up incident with its figures."""
    return page(notebook())


def test_the_page_is_in_the_order_a_reader_needs(sample):
    """Status, plain words, causes, what was not measured, whom to call, the stages, provenance: in this order."""
    words = Reader(sample).words
    marks = [
        "Infrastructure incident", "In plain words", "Card payments are being checked", "feature store slow in zone b",
        "What was not measured", "no column is mapped", "Whom to call", "payments-ml-primary", "stage by stage",
        "Establish whether latency left", "A cut or rewritten ledger",
    ]  # fmt: skip
    places = [words.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_sample_is_well_under_a_megabyte(sample):
    """A page with five figures can be sent by mail."""
    assert len(sample.encode()) < 400_000


def test_the_head_of_the_page_says_the_essentials(sample):
    """Incident, model with version, template version, severity, onset and whether it goes on are in the band."""
    band = Reader(sample.split("</header>")[0]).words
    for text in (
        "INC-20261122-01",
        "fraud-v3 3.4.1",
        "latency_spike 1.0.0",
        "SEV2",
        "Sun 22 Nov 2026, 14:05 UTC",
        "still going on",
        "Status red",
    ):
        assert text in band


def test_headings_are_in_order_and_ids_are_unique(sample):
    """A screen reader finds one h1 and no jump between levels, and every link of the contents has its target."""
    reader = Reader(sample)
    levels = [level for level, _ in reader.headings]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert len(reader.ids) == len(set(reader.ids))
    targets = [attrs["href"][1:] for tag, attrs in reader.tags if tag == "a" and attrs["href"].startswith("#")]
    assert len(targets) == 13, "the skip link, eleven stages, provenance"
    assert set(targets) <= set(reader.ids)


def test_code_is_folded_and_complete(sample):
    """Every cell's code is on the page, closed until asked for."""
    details = [attrs for tag, attrs in Reader(sample).tags if tag == "details"]
    assert len(details) == 14
    assert not any("open" in attrs for attrs in details)
    assert "case = open_case(model, at=at, window=window)" in Reader(sample).words


def test_provenance_holds_what_an_auditor_compares(sample):
    """Digests, parameters, rows read, files left, versions and the ledger's count and head are printed in full."""
    words = Reader(sample).words.split("Where this comes from")[-1]
    for text in (
        "9c1f" * 16,
        "4be2" * 16,
        "12ab" * 16,
        "e07d" * 16,
        "3\u202f412\u202f008",
        "pandas 3.0.6",
        "01-latency_spike",
        "window2h",
    ):
        assert text in words


@pytest.mark.parametrize("status", ["failed", "timed_out", "kernel_died", "cancelled", "abandoned", None, "unheard_of"])
def test_an_unfinished_run_opens_with_a_banner_and_is_never_green(status):
    """Whatever the record claims besides, a run that did not complete warns before anything else, in grey."""
    plain = {**record()["plain"], "colour": "green"}
    html = page(rec=record(status=status, verdict="healthy", plain=plain))
    words = Reader(html).words
    assert body_class(html) == "grey"
    assert words.index("This run did not finish") < words.index("In plain words")
    assert "Do not read anything below as an all-clear." in words


def test_a_broken_run_says_where_it_broke_and_which_stages_did_not_run():
    """The banner names error, stage and cell; the contents mark the failed stage and those that never ran."""
    html = page(page_fixture.broken_notebook(), page_fixture.broken_record())
    words = Reader(html).words
    assert "DataError: metrics.parquet: the file ends early (in stage “triage”, cell 11)" in words
    contents = words.split("stage by stage")[1].split("Where this comes from")[0]
    assert "3 · Triage ■failed" in contents
    assert contents.count("not run") == 8
    assert "\x1b" not in html


@pytest.mark.parametrize(
    ("verdict", "asked", "shown"),
    [
        ("healthy", "green", "green"),
        ("inconclusive", "green", "grey"),
        ("inconclusive", "red", "grey"),
        ("infrastructure", "green", "amber"),
        ("genuine", "red", "red"),
        ("transient", "amber", "amber"),
        ("healthy", "chartreuse", "grey"),
        (None, "green", "grey"),
        (["healthy"], "green", "grey"),
    ],
)
def test_the_colour_is_never_better_than_the_verdict(verdict, asked, shown):
    """Green needs the verdict healthy; what is not known or inconclusive is grey."""
    assert body_class(page(rec=record(verdict=verdict, plain={"colour": asked}))) == shown


def test_an_inconclusive_verdict_gives_its_reasons():
    """Who reads inconclusive also reads why."""
    words = Reader(page(rec=page_fixture.inconclusive_record())).words
    assert "Inconclusive" in words
    assert "only 2 of 24 buckets hold data; no reference for this hour of the week." in words


def test_another_runbook_that_it_looks_like_stands_above_everything_else():
    """Who is paged for the wrong thing reads first what it is instead, why, and what to type next."""
    looks = {"runbook": "data_quality", "because": "38 % of amount is null since 14:05"}
    told = Reader(page(rec=record(referrals=[looks])))
    assert "This looks like data_quality 38 % of amount is null since 14:05. Next: that runbook:" in told.words
    assert "rbnb run data_quality --model fraud-v3 --incident INC-20261122-01" in told.words
    assert told.words.index("This looks like") < told.words.index("What is affected")
    assert "This looks like" not in Reader(page()).words


@pytest.mark.parametrize("runbook", ["<script>alert(1)</script>", "x; rm -rf ~", "", None, 3])
def test_a_runbook_without_a_proper_name_gets_no_command_to_copy(runbook):
    """What comes out of a record that was tampered with is shown as text, and never as something to type."""
    html = page(rec=record(referrals=[{"runbook": runbook, "because": "<b>because</b>"}]))
    assert "rbnb run" not in Reader(html).words.split("What is affected")[0]
    assert "<script>" not in html
    assert "&lt;b&gt;because&lt;/b&gt;" in html


def test_what_people_have_seen_is_on_the_page_as_text():
    """An observation is shown with who saw it and when, who recorded it, and which hypothesis cites it."""
    seen = {
        "text": "<img src=x onerror=alert(1)> checkout is slow\u202e",
        "by": "the shop",
        "seen_at": "2026-11-22T14:20:00Z",
        "recorded_by": "on-call",
        "responsible": "payments-ml",
        "about": "zone=b",
        "cited_by": ["feature store slow in zone b"],
    }
    html = page(rec=record(observations=[seen]))
    told = Reader(html)
    assert "What people have seen" in [text for _, text in told.headings]
    assert "Sun 22 Nov 2026, 14:20 UTC · the shop · zone=b" in told.words
    assert "recorded by on-call · responsible: payments-ml · cited by: feature store slow in zone b" in told.words
    assert "<img src=x" not in html
    assert "‹U+202E›" in html
    assert "What people have seen" not in Reader(page()).words


def test_an_empty_record_is_said_to_be_unknown():
    """A record with nothing in it gives a page that claims nothing."""
    html = render_run({}, {}, context={})
    assert body_class(html) == "grey"
    assert Reader(html).words.count("Not known.") == 4


def test_since_when_is_told_from_the_onset_where_the_record_has_no_words_for_it():
    """A record without its own sentence still tells since when, as long as it knows."""
    plain = {key: text for key, text in record()["plain"].items() if key != "since"}
    assert "Sun 22 Nov 2026, 14:05 UTC. It is still going on." in Reader(page(rec=record(plain=plain))).words
    ended = record(plain=plain, ongoing=False, ended="2026-11-22T15:20:00Z")
    assert "From Sun 22 Nov 2026, 14:05 UTC to Sun 22 Nov 2026, 15:20 UTC." in Reader(page(rec=ended)).words


JUNK = [None, 0, 1.5, True, "text", [], {}, [None], [1, "a"], {"a": [1]}, [[[]]], "\ud800"]


@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_a_record_of_any_shape_still_gets_a_page(junk):
    """Whatever a field holds, the page is rendered and stays valid UTF-8."""
    for field in record():
        page({"cells": []}, record(**{field: junk})).encode()
    for field in context():
        page({"cells": []}, ctx=context(**{field: junk})).encode()


@pytest.mark.parametrize("junk", JUNK, ids=repr)
@pytest.mark.parametrize(
    "mime", [f"{BASE}{kind}+json" for kind in ("table", "note", "commands", "facts")] + ["image/svg+xml", "image/png"]
)
def test_an_output_that_cannot_be_read_is_said_so(mime, junk):
    """A payload that is not what its type promises never breaks the page."""
    html = only(display(mime, junk))
    html.encode()
    if junk not in ([], {}):
        assert "An output is not shown" in html


def test_cells_of_any_shape_still_get_a_page():
    """A notebook whose cells are not what they should be is shown as far as it can be."""
    for junk in JUNK:
        for cells in (
            junk,
            [junk],
            [{"cell_type": junk, "source": junk}],
            [{"cell_type": "code", "source": junk, "outputs": junk, "metadata": junk}],
            [{"cell_type": "markdown", "source": junk}],
        ):
            render_run({"cells": cells}, record(), context=context()).encode()


def test_values_are_said_the_way_people_read_them():
    """Numbers have thin spaces, shares are percentages, times are UTC, missing is a dash and never 0."""
    columns = ["a:number:ms", "b:share", "c:time", "d:status", "e:bar", "f:code", "g:text"]
    html = only(
        table("T", columns, [[486210, 0.0436, "2026-11-22T14:05:00Z", "breach", 0.86, "x=1", "plain"], [None] * 7])
    )
    words = Reader(html).words
    assert "486\u202f210 4.4\u202f%".replace(" ", "") in words.replace(" ", "")
    for text in ("22 Nov 14:05", "■breach", "86\u202f%", "x=1", "plain"):
        assert text in words
    assert '<time datetime="2026-11-22T14:05:00Z">' in html
    assert 'style="width:86.0%"' in html
    assert html.split("<tbody>")[1].split("</tbody>")[0].count("–") == 7


def test_a_bar_outside_its_range_is_drawn_within_it_and_says_its_number():
    """A share over 1 or under 0 does not break the layout and is not hidden."""
    html = only(table("T", ["x:bar"], [[1.2], [-0.3], [float("inf")]]))
    assert 'width:100.0%"' in html
    assert 'width:0.0%"' in html
    assert "120\u202f%" in html


@pytest.mark.parametrize(
    "status",
    [
        "ok",
        "warning",
        "breach",
        "undefined",
        "supported",
        "refuted",
        "open",
        "healthy",
        "genuine",
        "transient",
        "infrastructure",
        "inconclusive",
        "done",
        "pending",
    ],
)
def test_a_status_has_a_sign_and_a_word_besides_its_colour(status):
    """Who cannot tell the colours apart reads the status all the same."""
    html = only(table("T", ["s:status"], [[status]]))
    assert re.search(rf'<span class="sign" aria-hidden="true">[^<]</span>{status}</span>', html)


def test_only_the_named_output_types_are_shown():
    """HTML, JavaScript, markdown, widgets and scraps never reach the page; plain text only where nothing better is."""
    hidden = {
        "text/html": "<b>HIDDEN</b>",
        "application/javascript": "HIDDEN()",
        "text/markdown": "HIDDEN",
        "application/vnd.jupyter.widget-view+json": {"model_id": "HIDDEN"},
        "image/jpeg": "HIDDEN",
    }
    scrap = {"application/scrapbook.scrap.json+json": {"data": "HIDDEN"}, "text/plain": "HIDDEN"}
    outputs = [
        {"output_type": "display_data", "data": {mime: data, "text/plain": "SHOWN"}} for mime, data in hidden.items()
    ]
    html = only(*outputs, {"output_type": "display_data", "data": scrap})
    assert "HIDDEN" not in html
    assert Reader(html).words.count("SHOWN") == 5
    assert "(fallback)" not in only(table("T", ["a:text"], [["x"]]))


def test_pictures_are_data_images_with_words():
    """SVG and PNG come as data images with their description; what is no picture is refused."""
    svg = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    html = only(
        display("image/svg+xml", [svg[:9], svg[9:]], {"alt": "a chart", "caption": "read it so"}),
        display("image/png", PNG),
    )
    images = [attrs for tag, attrs in Reader(html).tags if tag == "img"]
    assert base64.b64decode(images[0]["src"].removeprefix("data:image/svg+xml;base64,")).decode() == svg
    assert images[0]["alt"] == "a chart"
    assert "<figcaption>read it so</figcaption>" in html
    assert images[1]["src"].startswith("data:image/png;base64,")
    assert images[1]["alt"]
    assert "An output is not shown" in only(display("image/png", base64.b64encode(b"GIF89a").decode()))


def test_links_lead_only_to_http_and_https():
    """An address from data becomes a link only if it is plain http or https; otherwise it is text."""
    bad = [
        "javascript:alert(1)",
        "JaVaScRiPt:1",
        " javascript:1",
        "data:text/html,x",
        "//evil.example",
        "file:///etc/passwd",
        "https://a b",
        "http:\\\\x",
        "vbscript:x",
        "https://[",
        "",
        None,
        5,
    ]
    html = only(
        facts(
            "F",
            *[(f"l{i}", "v", "text", link) for i, link in enumerate(bad)],
            ("good", "v", "text", "https://ok.example/x?a=1&b=2"),
        )
    )
    hrefs = [attrs["href"] for tag, attrs in Reader(html).tags if tag == "a" and "stage" not in attrs["href"]]
    expected = ["https://ok.example/x?a=1&b=2", *context()["links"].values()]
    assert sorted(href for href in hrefs if not href.startswith("#")) == sorted(expected)


def test_a_long_table_is_cut_and_says_so():
    """Ten thousand rows do not make a page nobody can open."""
    html = only(table("T", ["n:number"], [[k] for k in range(10_000)]))
    assert html.count("<tr>") < 520
    assert "The first 500 of 10\u202f000 rows" in html


def test_prose_keeps_tables_and_loses_html_images_and_odd_links():
    """Template prose is CommonMark with tables; raw HTML is text, images are not fetched, links are http or https."""
    text = "## 1 · T\n\n# Big\n\n<b>raw</b> ![i](http://x.example/i.png) [j](javascript:1) [k](https://k.example)\n\n|a|b|\n|-|-|\n|1|2|"
    html = page({"cells": [markdown(text, "one")]})
    prose = html.split('class="prose">')[1].split("</section>")[0]
    assert "&lt;b&gt;raw" in prose
    assert "<img" not in prose
    assert "<h3>Big</h3>" in prose
    assert 'href="https://k.example" rel="noopener noreferrer"' in prose
    assert prose.count("href=") == 2, "the image has become a plain link to follow or not"
    assert "<td>1</td>" in prose


def test_cells_without_a_stage_belong_to_the_heading_above():
    """A notebook edited in Jupyter, whose new cells name no stage, is sorted by its headings."""
    html = page(
        {
            "cells": [
                code("setup"),
                markdown("## 1 · A"),
                code("one"),
                markdown("more"),
                code("two"),
                markdown("## 2 · B"),
                code("three"),
            ]
        }
    )
    contents = [attrs["href"] for tag, attrs in Reader(html).tags if tag == "a" and attrs["href"].startswith("#stage")]
    assert len(contents) == 2
    assert html.split("</nav>")[1].index("one") < html.split("</nav>")[1].index("2 · B")


def test_hidden_characters_are_made_visible():
    """Direction overrides, invisible and control characters show as marks, whichever way they came in."""
    bad = "a\u202eb\u200bc\x00d\x9be\ufefff\U000e0041g\u2066h"
    html = page(
        {"cells": [markdown(f"## 1 · {bad}\n\n{bad} &#x202e;", "x"), code(bad, table(bad, [f"{bad}:text"], [[bad]]))]},
        record(title=bad),
    )
    assert not re.search(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]", html
    )
    assert html.count("‹U+202E›") > 5


def test_visible_text_is_bounded_and_plain():
    """Terminal colours go, hidden characters are named, and what is too long says how much was cut."""
    assert visible("\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link") == "red link"
    assert visible("x" * 30, 10) == "x" * 10 + " … (20 more characters)"
    assert one_line("a\n\n b\tc") == "a b c"


def test_the_same_input_gives_the_same_page():
    """A page can be compared by digest."""
    assert page() == page()


def test_importing_the_report_is_light():
    """Who renders nothing does not wait for jinja2, markdown-it or numpy."""
    script = "import rbnb.report, sys; assert not {'jinja2', 'markdown_it', 'matplotlib', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)
    script = (
        "import page_fixture as f, sys; from rbnb.report import render_run;"
        "render_run(f.notebook(charts={}), f.record(), context=f.context());"
        "assert not {'matplotlib', 'nbconvert', 'pygments', 'IPython'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=page_fixture.Path(__file__).parent)
