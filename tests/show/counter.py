"""A small widget with a front end of its own, for the tests of pages."""

import anywidget
import traitlets

SCRIPT = """
export default {
    initialize({ model }) { model.set("started", model.get("started") + 1); },
    render({ model, el }) {
        const button = document.createElement("button"), words = document.createElement("p");
        const show = () => { button.textContent = `clicked ${model.get("count")} times`; };
        const view = model.get("data");
        const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
        const inner = [...model.get("pictures"), model.get("named")["a key"]].map((x) => x.getUint8(0));
        const all = [...model.get("words"), ...bytes, "inside:", ...inner, "started", model.get("started")];
        words.textContent = all.join(" ");
        button.addEventListener("click", () => {
            model.set("count", model.get("count") + 1);
            model.save_changes();
            model.send({ kind: "clicked" });
            if (model.get("count") === 2) model.off("change:count", show);
        });
        model.on("change:count", show);
        show();
        el.append(button, words);
    },
};
"""


class Counter(anywidget.AnyWidget):
    """Shows a list, bytes, and bytes in a list and a dictionary; counts clicks, and stops saying so after the second."""

    _esm = SCRIPT
    _css = "button { color: rgb(1, 2, 3); }"
    count = traitlets.Int(0).tag(sync=True)
    started = traitlets.Int(0).tag(sync=True)
    words = traitlets.List().tag(sync=True)
    data = traitlets.Bytes(b"\x00\xff").tag(sync=True)
    pictures = traitlets.List([b"\x07", b"\x08"]).tag(sync=True)
    named = traitlets.Dict({"a key": b"\x09"}).tag(sync=True)
