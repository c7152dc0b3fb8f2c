"""The sign-in page: plain HTML that needs no script, in the page's colours, light and dark."""

from markupsafe import Markup

from ui.language import TAGS, switch
from ui.words import language, t

STYLE = Markup("""
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center;
  font: 16px/1.5 system-ui, sans-serif; background: light-dark(#f6f7f9, #101418);
  color: light-dark(#1c2530, #e6eaee); }
form { box-sizing: border-box; width: min(22rem, calc(100vw - 2rem)); padding: 2rem;
  display: grid; gap: 1rem; border-radius: 12px; background: light-dark(#fff, #181e25);
  border: 1px solid light-dark(#dfe3e8, #2b333d); }
h1 { margin: 0; font-size: 1.25rem; }
h1 small { display: block; font-size: .875rem; font-weight: 400; opacity: .75; }
label { display: grid; gap: .25rem; font-size: .875rem; }
input { font: inherit; padding: .55rem .7rem; border-radius: 8px; background: transparent;
  color: inherit; border: 1px solid light-dark(#b8c0ca, #46515e); }
button { font: inherit; font-weight: 600; padding: .6rem; border: 0; border-radius: 8px;
  background: light-dark(#0f766e, #2dd4bf); color: light-dark(#fff, #06201d); cursor: pointer; }
a { justify-self: center; font-size: .875rem; color: inherit; }
[role=alert] { margin: 0; color: light-dark(#b42318, #fda29b); font-size: .875rem; }
""")

PAGE = Markup("""<!doctype html>
<html lang="{tag}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title} · {app}</title><style>{style}</style></head>
<body><main><form method="post" action="{action}">
<h1>{app}<small>{title}</small></h1>{error}
<label>{user}<input name="user" autocomplete="username" required autofocus></label>
<label>{password}<input name="password" type="password" autocomplete="current-password" required>
</label><button>{submit}</button>{switch}</form></main></body></html>
""")


def login_page(action: str, error: str = "", root_path: str = "") -> str:
    """The whole page; ``error`` is a sentence shown above the fields."""
    alert = Markup('<p role="alert">{}</p>').format(error) if error else Markup("")
    return PAGE.format(
        tag=TAGS[language()],
        switch=switch(root_path),
        action=action,
        style=STYLE,
        error=alert,
        title=t("login.title"),
        app=t("login.app"),
        user=t("login.user"),
        password=t("login.password"),
        submit=t("login.submit"),
    )
