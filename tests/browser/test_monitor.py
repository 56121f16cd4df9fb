"""A training in another process, watched in a real JupyterLab."""

import json
import threading

from vos_lab.training import load_config

CELLS = ["import vos_lab as vl\nmonitor = vl.show.TrainingMonitor('../run', every=0.2)\nmonitor"]


def test_a_run_of_another_process_is_watched_to_its_end(opened, lab, shots):
    run = lab.folder / "run"
    run.mkdir()
    load_config("stcn-tiny", ["stages.0.steps=200", "stages.1.steps=200"]).save(run / "config.yaml")

    def write(*steps):
        with open(run / "log.jsonl", "a") as file:
            for step in steps:
                file.write(json.dumps({"step": step, "total": 2 / step**0.3, "lr": 1e-3, "seconds": 0.4 * step}) + "\n")
                if step % 100 == 0:
                    file.write(json.dumps({"step": step, "J&F world": 0.2 + step / 1000}) + "\n")

    with opened("monitor.ipynb", *CELLS, height=700) as page:
        page.wait_for_selector(".vos.monitor >> text=/Waiting for the run/")
        write(*range(10, 210, 10))
        page.wait_for_selector(".vos.monitor >> text=/Running: step 200 of 400, about [0-9]+ seconds left/")
        page.click(".vos.monitor button.sample")
        page.wait_for_selector(".vos.monitor >> text=There are no weights yet")
        page.screenshot(path=shots / "monitor-lab.png")
        threading.Timer(0.5, write, range(210, 410, 10)).start()
        page.wait_for_selector(".vos.monitor >> text=Ended: all 400 steps are done.")
        assert page.locator(".vos.monitor svg").count() == 2 and page.locator(".vos.monitor circle").count() == 4
