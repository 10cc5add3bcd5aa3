"""What students wrote, made safe: nothing that acts survives, and what they made is still there."""

import base64
import io
import re
import sys
import zlib
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmusic.grading.pages import media, untrusted
from tests.grading.pages.attacks_on_pages import ATTACKS
from tests.grading.pages.chromium import chromium  # noqa: F401
from tests.grading.pages.example_results import player, png

TAGS = set(
    "div span blockquote pre ul ol li dl dt dd table caption thead tbody tfoot tr th td b strong i"
    " em code sub sup s br hr img audio source".split()
)
ATTRIBUTES = {"src", "alt", "controls", "aria-label"}
ADDRESS = re.compile(r"data:(image/(png|jpeg|svg\+xml)|audio/(mpeg|wav));base64,[A-Za-z0-9+/]+=*")


class Inventory(HTMLParser):
    """Whatever is in a piece of HTML, and whether its tags are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.addresses, self.odd = set(), set(), [], []
        self.open = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value for name, value in attrs if name == "src"]
        if tag not in ("br", "hr", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.odd.append(f"</{tag}>")

    def handle_comment(self, data):
        self.odd.append(data)

    handle_decl = handle_pi = unknown_decl = handle_comment


def assert_harmless(html):
    found = Inventory(html)
    assert found.tags <= TAGS
    assert found.attributes <= ATTRIBUTES
    assert all(ADDRESS.fullmatch(address) for address in found.addresses)
    assert not found.odd and not found.open
    html.encode()  # no half of a letter


def uri(mime, content):
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def image(format, size=(3, 2), **more):
    from PIL import Image

    out = io.BytesIO()
    Image.new("1" if format == "PNG" else "L", size).save(out, format, **more)
    return out.getvalue()


WAV = b"RIFF\x2c\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0\x80>\0\0\2\0\x10\0data\x08\0\0\0" + bytes(
    8
)
MP3 = b"\xff\xfb\x90\x00" + bytes(60)


@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_that_acts_survives(attack):
    for html in (untrusted.rich(attack), untrusted.markdown(attack)):
        assert_harmless(html)
        assert "127.0.0.1" not in "".join(Inventory(html).addresses)
    for text in (untrusted.text(attack), untrusted.code(attack)):
        assert not Inventory(text).tags - {"span"}
        text.encode()


PIECES = st.sampled_from([
    *"< > </ <! <!-- --> <? ]]> / = \" ' ` & ; \0 \n \t a x".split(" "),
    *(f"<{tag}" for tag in "p b table tr td li ul a img audio source script svg math".split()),
    *(f"</{tag}>" for tag in "p b table tr td li ul a audio script style svg div".split()),
    *"<p> <table> <tr> <td> <ul> <li> <b> <audio> <svg> <style> <script> <pre> <a>".split(),
    *" src= | alt= | href= | onerror=hit() |javascript:hit()|&lt;|&#60;|&quot;|&amp;".split("|"),
    ' src="data:image/png;base64,AAAA"', ' alt="', " alt='\">", "\u202e", "\ud800",
])  # fmt: skip


@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_heap_of_markup_becomes_well_nested_harmless_html(html):
    clean = untrusted.rich(html)
    assert_harmless(clean)
    assert_harmless(untrusted.markdown(html))
    again = untrusted.rich(clean)
    assert_harmless(again)
    assert Inventory(again).tags <= Inventory(clean).tags


def test_the_course_player_keeps_its_names_pictures_words_and_sounds():
    html = untrusted.rich(player())
    assert_harmless(html)
    assert "<b>the tune</b>" in html and "<b>quarter notes</b>" in html
    kinds = [address[5:15] for address in Inventory(html).addresses]
    assert kinds == ["image/svg+", "audio/mpeg"] * 2
    assert 'alt="a tune for the flute: 2 bars' in html
    original = re.findall(r'src="(data:[^"]+)"', player())
    assert Inventory(html).addresses == original


def test_a_table_of_pandas_stays_a_table_without_its_style():
    html = (
        "<div>\n<style scoped>\n.dataframe td {vertical-align: top}</style>\n"
        '<table border="1" class="dataframe"><thead><tr style="x"><th></th><th>pitch</th></tr>'
        "</thead><tbody><tr><th>0</th><td>67 &lt; 69</td></tr></tbody></table></div>"
    )
    assert untrusted.rich(html) == (
        "<div>\n\n<table><thead><tr><th></th><th>pitch</th></tr></thead>"
        "<tbody><tr><th>0</th><td>67 &lt; 69</td></tr></tbody></table></div>"
    )


@pytest.mark.parametrize(
    ("mime", "content"),
    [
        ("image/png", image("PNG")),
        ("image/jpeg", image("JPEG")),
        ("audio/wav", WAV),
        ("audio/x-wav", WAV),
        ("audio/mpeg", MP3),
        ("audio/mp3", b"ID3" + bytes(30)),
    ],
)
def test_pictures_and_sounds_are_kept_under_their_proper_names(mime, content):
    tag = "img" if mime.startswith("image") else "audio"
    found = Inventory(untrusted.rich(f'<{tag} src="{uri(mime, content)}">')).addresses
    proper = {"audio/x-wav": "audio/wav", "audio/mp3": "audio/mpeg"}.get(mime, mime)
    assert found == [uri(proper, content)]


@pytest.mark.parametrize(
    ("mime", "content"),
    [
        ("image/png", image("JPEG")),
        ("image/jpeg", image("PNG")),
        ("image/png", b"<script>hit()</script>"),
        ("image/png", image("PNG")[:20]),
        ("image/gif", b"GIF89a" + bytes(20)),
        ("image/svg+xml", b"<html xmlns='http://www.w3.org/1999/xhtml'/>"),
        ("text/html", b"<script>hit()</script>"),
        ("audio/mpeg", b"<script>hit()</script>"),
        ("audio/wav", b"RIFF\0\0\0\0AVI LIST"),
        ("video/mp4", bytes(30)),
        ("", b"x"),
    ],
)
def test_what_isnt_what_it_says_is_left_out(mime, content):
    html = untrusted.rich(f'<img alt="mine" src="{uri(mime, content)}">')
    assert html == "[a picture is left out: mine]"
    assert untrusted.rich(f'<audio src="{uri(mime, content)}"></audio>') == "[a sound is left out]"


@pytest.mark.parametrize("side", [6_000, 30_000, 2_000_000_000])
def test_a_picture_that_unfolds_to_gigabytes_is_left_out(side):
    small = image("PNG", (5, 5))
    head = b"IHDR" + side.to_bytes(4, "big") * 2 + small[24:29]
    bomb = small[:12] + head + zlib.crc32(head).to_bytes(4, "big") + small[33:]
    assert untrusted.picture("image/png", base64.b64encode(small).decode(), "x")
    assert untrusted.picture("image/png", base64.b64encode(bomb).decode(), "x") is None
    assert "src" not in untrusted.rich(f'<img src="{uri("image/png", bomb)}">')


def test_too_much_data_is_left_out():
    big = "A" * (2 * media.MOST_MEDIA)
    assert untrusted.picture("image/png", big, "x") is None


def test_a_sound_of_ipython_plays_from_its_source_element():
    html = (
        '<audio controls="controls" autoplay="autoplay">'
        f'<source src="{uri("audio/wav", WAV)}" type="audio/wav" />Your browser can\'t.</audio>'
    )
    assert untrusted.rich(html, "the notebook") == (
        '<audio controls aria-label="sound from the notebook">'
        f'<source src="{uri("audio/wav", WAV)}"></audio>'
    )


def drawing(inner, head="", attributes=""):
    return (
        f'{head}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' width="9" height="9"{attributes}>{inner}</svg>'
    )


@pytest.mark.parametrize(
    "svg",
    [
        drawing("<script>hit()</script>"),
        drawing("<g><s:script xmlns:s='http://www.w3.org/2000/svg'>hit()</s:script></g>"),
        drawing("", attributes=' onload="hit()"'),
        drawing("<foreignObject/>"),
        drawing("<a href='javascript:hit()'/>"),
        drawing("<use href='javascript:hit()'/>"),
        drawing("<use xlink:href='http://127.0.0.1:9/x.svg#a'/>"),
        drawing("<image href='http://127.0.0.1:9/x.png'/>"),
        drawing("<image href='data:image/png;base64,AAAA'/>"),
        drawing("<style>@import 'http://127.0.0.1:9/x.css'</style>"),
        drawing("<style>g{fill:u\\72l(http://127.0.0.1:9)}</style>"),
        drawing("<animate/>"),
        drawing("&x;", head='<!DOCTYPE svg [<!ENTITY x "y">]>'),
        drawing("", head="<?xml-stylesheet href='http://127.0.0.1:9/x.css'?>"),
        drawing("", head='<?xml version="1.0" encoding="utf-7"?>'),
        drawing("<g>"),
        "no drawing",
        "<html/>",
        # what reuses what reuses what reuses
        drawing('<g id="a"><use href="#b"/><use href="#b"/></g><g id="b"/><use href="#a"/>'),
        drawing('<pattern id="a"><g fill="url(#b)"/></pattern><g fill="url(#a)"/>'),
        drawing('<g id="a">' + "<g/>" * 900 + "</g>" + '<use href="#a"/>' * 900),
    ],
)
def test_a_drawing_that_does_more_than_draw_is_left_out(svg):
    assert untrusted.picture("image/svg+xml", svg, "x") is None
    assert "src" not in untrusted.rich(f'<img src="{uri("image/svg+xml", svg.encode())}">')


def test_drawings_of_matplotlib_and_verovio_are_kept():
    from matplotlib.figure import Figure

    from mlmusic import Score
    from mlmusic.notation import engrave

    figure = Figure()
    axes = figure.subplots(1, 2)
    axes[0].plot([1, 2, 3], marker="o")
    axes[1].imshow([[1, 2], [3, 4]])
    out = io.StringIO()
    figure.savefig(out, format="svg")
    plot = untrusted.picture("image/svg+xml", out.getvalue(), "a & b")
    assert plot.startswith('<img alt="a &amp; b" src="data:image/svg+xml;base64,')
    assert untrusted.picture("image/svg+xml", engrave(Score([(0, 1, 60)])).svg, "x")


def test_code_is_highlighted_and_nothing_in_it_turns_around_unseen():
    html = untrusted.code('def f(x):\n    return "<b>" + x  # \u202e\u2066 admin \x07')
    assert '<span class="k">def</span>' in html and '<span class="nf">f</span>' in html
    assert "&lt;b&gt;" in html and "<b>" not in html
    assert "[U+202E][U+2066] admin \ufffd" in html


def test_plain_text_is_escaped_and_cut_and_loses_the_terminals_colours():
    assert untrusted.text("\x1b[31mred\x1b[0m & <b>\"'") == "red &amp; &lt;b&gt;&quot;&#x27;"
    assert untrusted.text("abcdef", most=4) == "abcd\n… and 2 more characters"


def test_markdown_is_rendered_and_its_links_load_nothing():
    html = untrusted.markdown(
        "# Loud\n\n**a** and *b* `c<d`, [see](http://example.org/x?a&b)\n\n- one\n- two\n\n"
        "![a plot](https://example.org/p.png)\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n<b>raw</b>"
    )
    assert_harmless(html)
    assert "<div>Loud</div>" in html, "a heading of a student's is none of the page's"
    assert "<strong>a</strong> and <em>b</em> <code>c&lt;d</code>" in html
    assert "<span>see (http://example.org/x?a&amp;b)</span>" in html
    assert "<ul><li>one</li><li>two</li></ul>" in html
    assert "[a picture is left out: a plot]" in html
    assert "<td>1</td>" in html and "&lt;b&gt;raw&lt;/b&gt;" in html


def test_without_mistune_markdown_is_plain_paragraphs(monkeypatch):
    monkeypatch.setitem(sys.modules, "mistune", None)
    assert untrusted.markdown("a <b>\n\nc") == "<div>a &lt;b&gt;</div><div>c</div>"


def test_a_picture_without_words_says_where_it_is_from():
    assert f'alt="a picture from Ada&#x27;s" src="data:image/png;base64,{png()}"' in untrusted.rich(
        f"<img src='data:image/png;base64,{png()}'>", "Ada's"
    )


MANY = 100_000


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * MANY,
        "<ul><li>" * MANY,
        "<table><tr><td>" * MANY,
        "<b a=1><p>" * MANY,
        "<" * MANY,
        "<a " * MANY,
        "<a b='" * MANY,
        "<a b=\"<a c='" * MANY,
        "<!--" * MANY,
        "<script>" * MANY,
        "</" * MANY,
        "<div " + " ".join(f"a{i}=1" for i in range(MANY)) + ">",
        "<a" + " " * MANY + "b" + " " * MANY,
        "<audio>" * MANY,
        "&" * MANY,
    ],
)
def test_hundred_thousand_tags_are_read_in_one_pass(html):
    """Parsers that build a tree need a pass for each tag: here hours, and the test would hang."""
    assert len(untrusted.rich(html)) < 16 * len(html)


def test_a_browser_finds_nothing_but_the_short_list_of_tags(chromium):  # noqa: F811
    """Chromium parses what is left of each attack twice, and must find the same, harmless both."""
    attacks = [*ATTACKS, *(a + b for a, b in zip(ATTACKS, reversed(ATTACKS), strict=True))]
    clean = [f(a) for a in attacks for f in (untrusted.rich, untrusted.markdown)]
    found = chromium.execute_script(
        """
        const parse = (html) => {
          const place = document.createElement("div");
          place.innerHTML = html;
          return place;
        };
        return arguments[0].map((html) => {
          const place = parse(html), all = [...place.querySelectorAll("*")];
          return {
            tags: all.map((e) => e.localName),
            names: all.flatMap((e) => [...e.attributes].map((a) => a.name)),
            stable: parse(place.innerHTML).innerHTML === place.innerHTML,
          };
        });
        """,
        clean,
    )
    for html, each in zip(clean, found, strict=True):
        assert set(each["tags"]) <= TAGS, html
        assert set(each["names"]) <= ATTRIBUTES, html
        assert each["stable"], html
    assert chromium.execute_script("return window.hit") is None
