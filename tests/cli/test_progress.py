"""What is shown on a terminal while something takes its time."""

from io import StringIO

from rich.console import Console

from metaloom.cli import progress


def test_a_strangers_words_beside_a_spinner_are_no_markup(monkeypatch):
    shown = StringIO()
    terminal = Console(file=shown, force_terminal=True, width=80)
    monkeypatch.setattr(progress, "progress_console", lambda: terminal)
    with progress.waiting("fetching hf://a/b@[/x]\x1b]0;title\x07"):
        pass
    assert "fetching hf://a/b@[/x]" in shown.getvalue()
    assert "\x1b]" not in shown.getvalue()
