"""Surgery on memory in a real JupyterLab, from the hand to the new mask."""

CELLS = [
    "import vos_lab as vl\n"
    "from vos_lab.datasets import samples\n"
    "clip = samples.load('look-alike')[::3]\n"
    "surgery = vl.show.MemorySurgery(vl.Tracker(vl.load_model('stcn-small'), vl.EveryNth(2)), clip, frame=5)\n"
    "surgery",
]
# moves the top-k slider, and gives the milliseconds until a new picture is there
SLIDE = """value => new Promise(done => {
    const slider = document.querySelector('.vos.surgery input.top_k'), root = slider.closest('.vos.surgery').parentElement;
    const began = performance.now();
    root.addEventListener('painted', () => done(performance.now() - began), { once: true });
    slider.value = value;
    slider.dispatchEvent(new Event('input'));
})"""


def test_memory_is_changed_by_hand(opened, shots):
    with opened("surgery.ipynb", *CELLS, height=1700) as page:
        words = page.locator(".vos.surgery .words")
        page.wait_for_selector(".vos.surgery .strip figure")
        assert "the same, pixel by pixel" in words.inner_text() and page.locator(".vos.surgery .strip figure").count() == 3
        waits = sorted(page.evaluate(SLIDE, value) for value in range(5))
        print(f"slider to paint: median {waits[2]:.0f} ms, worst {waits[-1]:.0f} ms")

        page.locator(".vos.surgery .strip figure button.take").nth(1).click()
        page.wait_for_selector(".vos.surgery .strip figure.out")
        page.locator(".vos.surgery .strip figure button.repaint").nth(2).click()
        box = page.locator(".vos.surgery .sheet canvas").bounding_box()
        page.mouse.move(box["x"] + 20, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + 320, box["y"] + 200, steps=4)
        page.mouse.up()
        page.screenshot(path=shots / "surgery-sheet.png")
        page.locator(".vos.surgery .sheet button.use").click()
        page.wait_for_selector(".vos.surgery .strip figcaption b >> text=repainted")
        page.click(".vos.surgery button.go-on")
        page.wait_for_function("document.querySelectorAll('.vos.surgery .chart circle').length === 3")
        page.wait_for_function("document.querySelector('.vos.surgery button.stop').disabled")
        page.screenshot(path=shots / "surgery-lab.png")
        page.click(".vos.surgery button.reset")
        page.wait_for_function("document.querySelector('.vos.surgery .words').textContent.includes('the same, pixel by pixel')")
