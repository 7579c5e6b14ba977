"""P22: nothing from data is active on the page. P26: the page and its figures ask nobody for anything.

Each payload stands in nine places at once: a column name, a category value, an index, the incident's
title, a comment, an alert's label, the model's name, an exception's text and a plot's label. The page is
checked twice: by its structure, which must be that of a harmless page, and in a real browser, with its
Content Security Policy and once more without it, so that escaping and policy each hold alone.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from page_fixture import code, context, display, facts, figure, markdown, note, record, table

from rbnb import plots
from rbnb.report import render_run

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
PWN = "document.documentElement.dataset.pwned='1';new Image().src='{hit}'"

#: ``{hit}`` is an address on loopback that must never be asked.
PAYLOADS = [
    f"<script>{PWN}</script>",
    f"</script><script>{PWN}</script>",
    f'<img src=x onerror="{PWN}">',
    "<img src={hit}>",
    f'<svg onload="{PWN}"></svg>',
    f"<svg><script>{PWN}</script></svg>",
    f"'\"><script>{PWN}</script>",
    f'" onmouseover="{PWN}" autofocus onfocus="{PWN}" x="',
    f"' onfocus='{PWN}' autofocus tabindex=1 '",
    f"</title><script>{PWN}</script>",
    f"</style><script>{PWN}</script>",
    f"</textarea></pre></code></details><script>{PWN}</script>",
    f"--><script>{PWN}</script><!--",
    f"]]><script>{PWN}</script>",
    f"</text></svg><script>{PWN}</script>",
    "<iframe src={hit}></iframe>",
    f'<iframe srcdoc="<script>parent.{PWN}</script>"></iframe>',
    "<object data={hit}></object><embed src={hit}>",
    "<link rel=stylesheet href={hit}><base href={hit}>",
    '<meta http-equiv="refresh" content="0;url={hit}">',
    "<style>@import '{hit}';body{{background:url({hit})}}</style>",
    '" style="background:url({hit})" x="',
    "<form action={hit}><button autofocus></form><video poster={hit} src={hit}></video>",
    f"[click](javascript:{PWN}) ![i]({{hit}}) <{{hit}}>",
    f"javascript:{PWN}",
    "[a](javascript:alert(1)) <javascript:alert(1)> [b](data:text/html;base64,PHNjcmlwdD4=) [c](vbscript:x)",
    f'<details open ontoggle="{PWN}"><summary>x</summary></details>',
    f'<body onload="{PWN}"><marquee onstart="{PWN}">',
    "{{ 7*7 }}{% raw %}<script>x</script>{{ self.__init__.__globals__ }}",
    f"&lt;script&gt;{PWN}&lt;/script&gt; &#60;img src={{hit}}&#62;",
    f"<scr\x00ipt>{PWN}</scr\x00ipt>\u202e<ſcript>{PWN}</ſcript>",
    f"\x1b]8;;{{hit}}\x07x\x1b]8;;\x07 +ADw-script+AD4-{PWN}+ADw-/script+AD4-",
    f'$\\href{{hit}}$ <a xlink:href="javascript:{PWN}">',
]
ALLOWED_TAGS = set(
    re.findall(
        r"\w+",
        "html head meta title style body a header div p span strong h1 h2 h3 h4 h5 h6 dl dt dd br "
        "main section ol ul li nav table caption thead tbody tr th "
        "td figure img figcaption details summary pre code time em blockquote hr",
    )
)


def armed(number, hit="http://127.0.0.1:9/hit"):
    """Return payload `number` with its address."""
    return PAYLOADS[number].replace("{hit}", f"{hit}/{number}")


def page(text, *, prose=True):
    """Return a page that holds `text` in the nine places, and in every other field that data can reach."""
    times = [datetime(2026, 11, 22, 14, 5 * k, tzinfo=UTC) for k in range(6)]
    chart = plots.latency_over_time(times, {text: range(1, 7)}, None, times[3], None, None, 3, text, measure=text)
    bars = plots.segment_ranking([text, "b"], [0.9, 0.1], [(0.8, 1.0), None], [0.4, 0.6])
    failure = {"output_type": "error", "ename": text, "evalue": text, "traceback": [text, text]}
    outputs = [
        table(
            text,
            [f"{text.replace(':', ' ')}:text", "n:number", "s:status", "b:bar", "t:time", "c:code"],
            [[text] * 6],
            text,
        ),
        facts(text, (text, text, "text", None), ("time", text, "time", None)),
        note("breach", text),
        display(
            "application/vnd.rbnb.commands+json",
            {"title": text, "items": [{"label": text, "command": text, "note": text}]},
        ),
        figure(chart.svg, chart.alt, chart.caption),
        figure(bars.svg, text, text),
        failure,
        {"output_type": "stream", "name": text, "text": text},
        {"output_type": "display_data", "data": {"text/plain": text, "text/html": text}, "metadata": {text: text}},
    ]
    cells = [markdown("## 1 · One", "one"), code(text, *outputs, stage="one")]
    if prose:
        cells.append(markdown(f"{text}\n\n- {text}\n\n{text}", "one"))
    fields = {
        "incident": text,
        "title": text,
        "run": text,
        "verdict": "infrastructure",
        "status": "failed",
        "error": {"kind": text, "message": text, "cell": text, "stage": text},
        "template": {"name": text, "version": text, "digest": text},
        "model": {"name": text, "version": text},
        "parameters": {text: text},
        "because": [text],
        "headline": [text],
        "severity": {"level": text, "reasons": [text]},
        "onset": text,
        "ended": text,
        "started": text,
        "finished": text,
        "plain": dict.fromkeys(("what", "since", "how_bad", "next", "colour"), text),
        "causes": [
            {**dict.fromkeys(("rank", "kind", "name", "where", "status", "evidence", "at"), text), "explains": 0.5}
        ],
        "proposal": {**dict.fromkeys(("action", "because", "where", "escalate_to"), text), "values": {text: text}},
        "not_measured": [{"what": text, "why": text}],
        "materials": [
            {**dict.fromkeys(("source", "table", "rows", "digest"), text), "window": {"start": text, "end": text}}
        ],
        "products": [dict.fromkeys(("path", "sha256", "bytes"), text)],
        "environment": {text: {text: text}},
    }
    people = {"title": text, "environment": text, "owner": text, "on_call": {"rotation": text, "escalation": [text]}}
    told = context(ledger={"entries": text, "head": text}, model=people, links={text: text})
    return render_run({"cells": cells}, record(**fields), context=told)


class Structure(HTMLParser):
    """The tags of a page with the names of their attributes, and what is wrong with any of them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.wrong, self.sources = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        """Note one tag, and what no page of ours has."""
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        if tag not in ALLOWED_TAGS:
            self.wrong.append(tag)
        for name, value in attrs:
            if name.startswith("on") or name in (
                "srcset",
                "action",
                "formaction",
                "background",
                "poster",
                "data",
                "xlink:href",
            ):
                self.wrong.append((tag, name))
            if name == "href" and not re.match(r"https?://|#", value):
                self.wrong.append((tag, name, value))
            if name == "src":
                self.sources.append(value)
                if not re.fullmatch(r"data:image/(svg\+xml|png);base64,[A-Za-z0-9+/=]+", value):
                    self.wrong.append((tag, name, value))
            if name == "style" and not re.fullmatch(r"width:\d+\.\d%", value):
                self.wrong.append((tag, name, value))
            if name == "http-equiv" and value not in ("Content-Security-Policy", "x-dns-prefetch-control"):
                self.wrong.append((tag, name, value))


def svg_faults(svg):
    """Return what a picture has that a picture of ours never has."""
    faults = []
    for element in ET.fromstring(svg).iter():  # noqa: S314 - our own output; a bomb would be our bug
        tag = element.tag.rpartition("}")[2]
        if tag not in {"svg", "defs", "style", "g", "path", "use", "text", "clipPath", "rect"}:
            faults.append(tag)
        for name, value in element.attrib.items():
            local = name.rpartition("}")[2]
            if local.startswith("on") or (local == "href" and not value.startswith("#")):
                faults.append((tag, name, value))
            if "url(" in value and "url(#" not in value:
                faults.append((tag, name, value))
    return faults


@pytest.fixture(scope="module")
def harmless():
    """The structure of a page whose data is one harmless word."""
    return Structure(page("b", prose=False)).tags


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_p22_a_payload_changes_no_tag_of_the_page(number, harmless):
    """Whatever data holds, the page has the tags and attributes of a harmless one, and shows the text."""
    html = page(armed(number), prose=False)
    structure = Structure(html)
    assert structure.wrong == []
    assert structure.tags == harmless
    for source in structure.sources:
        assert svg_faults(base64.b64decode(source.partition(",")[2]).decode()) == []
    assert "<script" not in html.lower()


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_p22_a_payload_in_prose_stays_text(number):
    """Markdown from a template may make links to http and https, and nothing else that does anything."""
    assert Structure(page(armed(number))).wrong == []


def test_p22_the_policy_comes_before_anything_it_governs():
    """The page forbids scripts, requests, base addresses and forms before the first byte that data reaches."""
    html = page("b")
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', html)
    assert policy[1].split("; ") == [
        "default-src 'none'", "style-src 'unsafe-inline'", "img-src data:", "base-uri 'none'", "form-action 'none'",
    ]  # fmt: skip
    assert html.startswith("<!DOCTYPE html>")
    assert policy.start() < html.index("<title>")
    assert html.count("Content-Security-Policy") == 1


HARNESS = """<!DOCTYPE html><title>harness</title><body><script>
const pages = %s;
async function all() {
  const seen = {};
  for (const name of pages) {
    const frame = document.createElement('iframe');
    frame.style.cssText = 'width:900px;height:300px';
    const loaded = new Promise(done => { frame.onload = done; setTimeout(done, 4000); });
    frame.src = '/page/' + name;
    document.body.append(frame);
    await loaded;
    await new Promise(done => setTimeout(done, 40));
    const doc = frame.contentDocument;
    seen[name] = {pwned: !doc || doc.documentElement.dataset.pwned === '1',
                  h1: doc ? doc.querySelectorAll('h1').length : 0,
                  scripts: doc ? doc.scripts.length : -1};
    frame.remove();
  }
  await fetch('/report', {method: 'POST', body: JSON.stringify(seen)});
}
all();
</script>"""


class Canary:
    """A server on loopback: serves the harness and its pages, and notes whatever else is asked of it."""

    def __init__(self):
        self.pages, self.hits, self.report, self.done = {}, [], None, threading.Event()
        canary = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                name = self.path.removeprefix("/page/")
                if self.path == "/harness":
                    body = HARNESS % json.dumps(sorted(canary.pages))
                elif name in canary.pages:
                    body = canary.pages[name]
                else:
                    canary.hits.append(self.path)
                    body = ""
                raw = body.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def do_POST(self):
                canary.report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()
                canary.done.set()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def browse(self, profile, seconds=60):
        """Let a headless Chromium walk through all pages; return whether it reported in time."""
        # Any other host resolves to nothing, so that only loopback can be asked and a request elsewhere cannot leave.
        quiet = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --disable-extensions --disable-dev-shm-usage"
        )
        command = [
            CHROMIUM,
            *quiet.split(),
            f"--user-data-dir={profile}",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--remote-debugging-port=0",
            f"{self.address}/harness",
        ]
        browser = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            return self.done.wait(seconds)
        finally:
            os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
            self.server.shutdown()
            self.server.server_close()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed: the browser half of P22 and P26 is not checked")
def test_p22_p26_in_a_browser_nothing_runs_and_nothing_is_asked(tmp_path):
    """In a real browser no payload runs and no request is made, with the page's policy and without it."""
    canary = Canary()
    policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
    for number in range(len(PAYLOADS)):
        html = page(armed(number, f"{canary.address}/hit"))
        canary.pages[f"{number:02}-policy"] = html
        canary.pages[f"{number:02}-escaping-alone"] = policy.sub("", html)
    live = "<h1>x</h1>" + armed(2, f"{canary.address}/control").replace("src=x", "src=data:,")
    canary.pages["control"] = live
    canary.pages["policy-alone"] = re.sub(r"(?s)<body.*", live, page("b"))
    assert canary.browse(tmp_path / "profile"), "the browser did not report"
    time.sleep(0.2)

    assert canary.report.pop("control")["pwned"], "a live script must trip the canary, or this test proves nothing"
    canary.report.pop("policy-alone")
    assert [hit for hit in canary.hits if hit.startswith("/control")] == ["/control/2"], "and only the unguarded one"
    assert len(canary.report) == 2 * len(PAYLOADS)
    assert {
        name: seen for name, seen in canary.report.items() if seen["pwned"] or seen["scripts"] or seen["h1"] != 1
    } == {}
    assert [hit for hit in canary.hits if not hit.startswith(("/control", "/favicon"))] == []


def test_p26_drawing_and_rendering_open_no_socket():
    """Figures and page are made without a single attempt to resolve a name or open a connection."""
    script = """
import sys
asked = []
def watch(event, args):
    if event.startswith("socket.") and event not in ("socket.__new__",):
        asked.append((event, args))
sys.addaudithook(watch)
import page_fixture as f
from rbnb.report import render_run
html = render_run(f.notebook(), f.record(), context=f.context())
assert len(html) > 10_000
assert not asked, asked
"""
    subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent, check=True)


def test_p26_the_page_names_no_outside_resource():
    """Nothing the page needs lies outside it: no source, style, font or import with an address."""
    html = page("b")
    style = re.search(r"(?s)<style>(.*?)</style>", html)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert "@font-face" not in style
    assert Structure(html).wrong == []
    for source in Structure(html).sources:
        svg = base64.b64decode(source.partition(",")[2]).decode()
        addresses = set(re.findall(r"https?://[^\"'\s<>]+", svg))
        assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}, "names of namespaces only"
