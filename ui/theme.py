"""How the page looks: one accent (teal), quiet greys, the system's own fonts, light and dark.

Colours are Gradio's variables wherever it has one, so that both themes come from one place; the
few of our own are defined twice, under ``:root`` and ``.dark``. Pairs of text and ground have a
contrast of 4.5 or more.
"""

from pathlib import Path

import gradio as gr

#: The last three before the generic one are for Chinese, where the system names none of its own.
FONTS = (
    *("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans"),
    *("PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "sans-serif"),
)
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def _theme() -> gr.themes.Base:
    theme = gr.themes.Default(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.gray,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=gr.themes.sizes.text_md,
        font=FONTS,
        font_mono=MONO,
    )
    return theme.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="#0f1216",
        body_text_color="*neutral_800",
        body_text_color_dark="*neutral_200",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="#a3acb9",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#171b21",
        background_fill_secondary="*neutral_50",
        background_fill_secondary_dark="#12161b",
        border_color_primary="*neutral_200",
        border_color_primary_dark="#2a313b",
        block_background_fill="#ffffff",
        block_background_fill_dark="#171b21",
        block_border_color="*neutral_200",
        block_border_color_dark="#2a313b",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="#a3acb9",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        block_title_text_weight="600",
        block_shadow="none",
        input_background_fill="#ffffff",
        input_background_fill_dark="#12161b",
        input_border_color="*neutral_300",
        input_border_color_dark="#3a4350",
        input_border_color_focus="*primary_600",
        input_border_color_focus_dark="*primary_400",
        input_shadow="none",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="#8b95a3",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        link_text_color_hover="*primary_800",
        link_text_color_hover_dark="*primary_200",
        link_text_color_visited="*primary_700",
        link_text_color_visited_dark="*primary_300",
        color_accent="*primary_700",
        checkbox_label_background_fill_dark="#1d232b",
        checkbox_label_background_fill_hover_dark="#262d37",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_hover_dark="*primary_600",
        button_primary_text_color="white",
        button_secondary_background_fill="#ffffff",
        button_secondary_background_fill_dark="#1d232b",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_hover_dark="#262d37",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="#3a4350",
        button_secondary_text_color="*neutral_800",
        button_secondary_text_color_dark="*neutral_100",
        button_border_width="1px",
        button_cancel_background_fill="#ffffff",
        button_cancel_background_fill_dark="#1d232b",
        button_cancel_background_fill_hover="#fef2f2",
        button_cancel_background_fill_hover_dark="#2b1a1d",
        button_cancel_border_color="#dc9a9a",
        button_cancel_border_color_dark="#6b3338",
        button_cancel_text_color="#b42318",
        button_cancel_text_color_dark="#fda29b",
        button_cancel_text_color_hover="#b42318",
        button_cancel_text_color_hover_dark="#fda29b",
        slider_color="*primary_600",
        checkbox_background_color_selected="*primary_700",
        checkbox_background_color_selected_dark="*primary_600",
        checkbox_border_color_selected="*primary_700",
        checkbox_border_color_selected_dark="*primary_600",
    )


THEME = _theme()

CSS = (Path(__file__).parent / "theme.css").read_text(encoding="utf-8")

#: The tab's colour on a phone, and no guessing of phone numbers in digits.
HEAD = """
<meta name="color-scheme" content="light dark">
<meta name="format-detection" content="telephone=no">
"""
