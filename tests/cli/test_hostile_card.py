"""Cards of strangers on the page of a block."""

CARD = "# Hi <script>alert(1)</script>\n\x1b[2J\x1b]0;owned\x07[bold]no markup[/bold] \u202egnp.exe"


def test_a_hostile_card_is_shown_as_inert_text(metaloom, tmp_path):
    (tmp_path / "card.md").write_text(CARD)
    done = metaloom("publish", "me/x", "(lam (sum $0))", "--card", tmp_path / "card.md")
    assert done.code == 0, done.err
    page = metaloom("show", "me/x").out
    assert "<script>alert(1)</script>" in page, "a terminal runs no HTML"
    assert "[bold]no markup[/bold]" in page
    for character in ("\x1b", "\x07", "\u202e"):
        assert character not in page
    assert metaloom("show", "me/x", "--json").json["card"] == CARD
    svg = tmp_path / "family.svg"
    assert metaloom("lineage", "me/x", "--svg", svg).code == 0
    assert "<script>" not in svg.read_text()
