"""The atlas in a real JupyterLab."""

CELLS = [
    "import vos_lab as vl\n"
    "clip = vl.World(seed=3, similarity=0.9, distractors=2).clip(length=6, size=(120, 216), objects=2)\n"
    "models = vl.load_model('colour'), vl.load_model('stcn-small')\n"
    "tracks = [vl.Tracker(model, vl.EveryNth(2)).run(clip, record=True) for model in models]",
    "atlas = vl.show.FalseMatchAtlas(*tracks, names=('colour', 'stcn-small'))\natlas",
]


def test_failures_are_shown_filtered_and_walked_through(opened, shots):
    with opened("atlas.ipynb", *CELLS, height=2200) as page:
        page.wait_for_selector(".vos.atlas .entry canvas")
        total = int(page.inner_text(".vos.atlas .words").split()[0])
        assert total > 0 and page.locator(".vos.atlas .entry").count() == min(6, total)
        assert page.locator(".vos.atlas .entry").first.locator("canvas").count() in (3, 4)
        painted = "c => new Set(c.getContext('2d').getImageData(0, 0, 60, 60).data).size > 8"
        page.wait_for_timeout(300)
        assert page.locator(".vos.atlas canvas").first.evaluate(painted)
        page.screenshot(path=shots / "atlas-lab.png")
        kinds = page.locator(".vos.atlas .entry h4").all_inner_texts()
        page.select_option(".vos.atlas select.kind", "background_as_foreground")
        found = page.locator(".vos.atlas .entry h4").all_inner_texts()
        assert all("background read as object" in text for text in found) and found != kinds
        page.select_option(".vos.atlas select.kind", "all")
        page.select_option(".vos.atlas select.order", "gain")
        page.locator(".vos.atlas .entry").first.focus()
        page.keyboard.press("ArrowDown")
        assert page.evaluate("document.activeElement.querySelector('h4').textContent").startswith("2.")
