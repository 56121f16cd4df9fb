// MaskPainter: the page around a Painting.

const TOOLS = { brush: "Brush (B)", eraser: "Eraser (E)", polygon: "Polygon (P)", hand: "Move view (H)" };
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const KEYS = [
    ["arrows", "move the cursor (Shift: by 10)"],
    ["Space", "paint there; hold it and move to draw"],
    ["1 - 9", "choose an object"],
    ["[  ]", "brush size"],
    ["Ctrl+Z", "undo"],
    ["Ctrl+Y", "redo"],
    ["+  -  0", "zoom; so does Ctrl+wheel"],
    ["Shift+drag", "move the view"],
    ["Enter", "close the polygon"],
    ["Backspace", "take its last corner away"],
    ["Esc", "give it up"],
];

function render({ model, el }) {
    const [height, width] = model.get("size");
    const me = `view ${Math.random()}`;
    const painting = new Painting(width, height);
    const about = `Mask of an image of ${width} by ${height} pixels. Arrow keys move the cursor, Space paints.`;
    const canvas = element("canvas", { tabindex: 0, role: "application", "aria-label": about });
    const view = new View(canvas, width, height);
    const screen = canvas.getContext("2d");
    const painted = new OffscreenCanvas(width, height).getContext("2d"); // image and mask, at the image's size
    const out = new ImageData(width, height);
    const added = new Set(); // objects that have no pixel yet
    let photo = null; // the image's pixels, once they are decoded
    let tool = "brush";
    let cursor = [width >> 1, height >> 1];
    let from = null; // where the stroke has got to
    let drag = null; // which place of the image the hand holds while it moves the view
    let corners = []; // of the polygon
    let ratio = 1; // canvas pixels per CSS pixel
    let waiting = 0; // the number of the next drawing
    let [hovered, closed] = [false, false];

    // ---- controls
    function button(text, action, attributes = {}) {
        const onclick = (event) => {
            action();
            if (event.detail) canvas.focus({ preventScroll: true }); // after a click of the mouse the keys are the canvas's
        };
        return element("button", { type: "button", onclick, ...attributes }, text);
    }
    const tools = Object.entries(TOOLS).map(([name, text]) => button(text, () => choose(name), { "data-tool": name }));
    const startSize = Math.max(1, Math.round(Math.min(width, height) / 44)) * 2 + 1;
    const size = element("input", { type: "range", min: 1, max: 61, step: 2, value: startSize, oninput: update });
    const sizeText = element("span", { class: "number" });
    const undoButton = button("Undo", undo),
        redoButton = button("Redo", redo);
    const objects = element("span", { class: "row", role: "group", "aria-label": "objects" });
    const spare = element("input", { type: "checkbox" });
    const opacity = element("input", { type: "range", min: 0, max: 100, value: 60, oninput: repaint });
    const outline = element("input", { type: "checkbox", onchange: repaint });
    const middle = () => [view.left + width / view.zoom / 2, view.top + height / view.zoom / 2];
    const zoomText = element("span", { class: "number" });
    const words = element("div", { class: "words", role: "status", "aria-live": "polite" }, "Loading ...");
    const where = element("span", { class: "quiet" }); // what the mouse is over: seen, not spoken
    const smaller = button("−", () => zoomBy(1 / 1.5, middle()), { "aria-label": "zoom out" });
    const larger = button("+", () => zoomBy(1.5, middle()), { "aria-label": "zoom in" });
    const whole = button("whole image", () => zoomBy(0, middle()));
    const spareAbout = "Brush, eraser and polygon then change the background and the chosen object only";
    const row = (...children) => element("div", { class: "row" }, ...children);
    const root = element(
        "div",
        { class: "vos painter", "data-lm-suppress-shortcuts": true, onkeydown: key, onkeyup: keyUp },
        element("p", { class: "about" }, model.get("about")),
        row(...tools, element("label", {}, "size", size, sizeText), undoButton, redoButton),
        row(
            "paint:",
            objects,
            button("+ new object (N)", addObject),
            element("label", { title: spareAbout }, spare, "leave other objects as they are"),
        ),
        row(
            "view:",
            smaller,
            zoomText,
            larger,
            whole,
            element("label", {}, "opacity", opacity),
            element("label", {}, outline, "outlines only (O)"),
        ),
        canvas,
        row(words, where),
        element(
            "div",
            { class: "row quiet" },
            ...KEYS.map(([name, text]) => element("span", {}, element("kbd", {}, name), ` ${text}`)),
        ),
        element(
            "div",
            { class: "quiet" },
            "In Python, ",
            element("kbd", {}, ".mask"),
            " is what you see here, after each stroke; ",
            element("kbd", {}, '.save("00000.png")'),
            " writes it to a file, ",
            element("kbd", {}, '.mask = "00000.png"'),
            " opens one.",
        ),
    );
    el.append(root);

    // ---- what is shown
    function update() {
        tools.forEach((node) => node.setAttribute("aria-pressed", node.dataset.tool === tool));
        sizeText.textContent = `${size.value} px`;
        zoomText.textContent = `${view.zoom.toFixed(1)}×`;
        undoButton.setAttribute("aria-disabled", !painting.done.length); // truly disabled, it would lose the keyboard
        redoButton.setAttribute("aria-disabled", !painting.undone.length);
        canvas.style.cursor = tool === "hand" ? "grab" : "crosshair";
        ask();
    }
    function showObjects() {
        const counts = painting.counts(),
            chosen = model.get("object_id");
        const known = [...counts.keys()].filter((id) => id && id < 255 && (counts[id] || added.has(id) || id === chosen));
        const focused = objects.matches(":focus-within");
        objects.replaceChildren(
            ...known.map((id) => button("", () => select(id), { "aria-pressed": String(id === chosen), "data-object": id })),
        );
        known.forEach((id, n) =>
            objects.children[n].append(
                element("span", { class: "swatch", style: `background: ${colourOf(id)}` }),
                `object ${id}: ${counts[id].toLocaleString("en")} px`,
            ),
        );
        if (focused) objects.querySelector("[aria-pressed=true]").focus(); // the button that had it is gone
        if (counts[255]) objects.append(`void (hatched): ${counts[255].toLocaleString("en")} px`);
    }
    function ask() {
        if (!waiting) waiting = requestAnimationFrame(draw);
    }
    function repaint() {
        painting.touchAll();
        ask();
    }
    function draw() {
        waiting = 0;
        if (!photo || !canvas.width) return;
        const near = view.scale / ratio >= 3;
        if (painting.box) {
            const { box, ids } = painting;
            overlay(out.data, photo.data, ids, width, height, outline.checked ? 0 : opacity.value / 100, !near, box);
            hatchVoid(out.data, ids, width, box);
            painted.putImageData(out, 0, 0, box[0], box[1], box[2] - box[0], box[3] - box[1]);
            painting.box = null;
        }
        view.draw(painted.canvas);
        if (near) borders(screen, painting, view, ratio);
        if (hovered || canvas.matches(":focus")) drawCursor();
    }
    function drawCursor() {
        const s = view.scale,
            onScreen = ([x, y]) => [(x + 0.5 - view.left) * s, (y + 0.5 - view.top) * s];
        const [x, y] = onScreen(cursor);
        if (corners.length) {
            const [first, ...others] = [...corners, cursor].map(onScreen);
            twoTone(screen, () => (screen.moveTo(...first), others.forEach((next) => screen.lineTo(...next))), ratio);
        }
        for (const [left, top] of corners.map(onScreen)) {
            twoTone(screen, () => screen.rect(left - 3 * ratio, top - 3 * ratio, 6 * ratio, 6 * ratio), ratio);
        }
        const round = tool === "brush" || tool === "eraser",
            reach = (round ? size.value / 2 : 0.5) * s;
        twoTone(
            screen,
            () => {
                if (round && +size.value > 1) screen.arc(x, y, reach, 0, 7);
                else screen.rect(x - reach, y - reach, 2 * reach, 2 * reach);
                const arm = 4 * ratio; // a small cross in the middle
                (screen.moveTo(x - arm, y), screen.lineTo(x + arm, y), screen.moveTo(x, y - arm), screen.lineTo(x, y + arm));
            },
            ratio,
        );
    }
    function say(text) {
        words.textContent = text;
    }
    const name = (id) => (id === 0 ? "background" : id === 255 ? "void" : `object ${id}`);
    function place() {
        const [x, y] = cursor,
            inside = x >= 0 && y >= 0 && x < width && y < height;
        return inside ? `x ${x}, y ${y}: ${name(painting.ids[y * width + x])}` : "";
    }

    // ---- what is done
    function choose(which) {
        tool = which;
        corners = [];
        say(
            {
                brush: `The brush paints object ${model.get("object_id")}.`,
                eraser: "The eraser makes background.",
                hand: "Drag to move the view.",
                polygon: "Click the corners; Enter, a double click or a click on the first corner fills the polygon.",
            }[which],
        );
        update();
    }
    function select(id) {
        model.set("object_id", id);
        model.save_changes();
        if (tool === "eraser" || tool === "hand") tool = "brush";
        say(`Now you paint object ${id}.`);
        update();
    }
    function addObject() {
        const counts = painting.counts();
        let id = 1;
        while (id < 254 && (counts[id] || added.has(id) || id === model.get("object_id"))) id++;
        added.add(model.get("object_id")).add(id);
        select(id);
    }
    // brush, eraser and polygon all write through this
    function marker() {
        const chosen = model.get("object_id"),
            id = tool === "eraser" ? 0 : chosen,
            careful = spare.checked;
        return (x, y) => {
            const there = painting.ids[y * width + x];
            if (!careful || there === 0 || there === chosen) painting.set(x, y, id);
        };
    }
    function begin(place) {
        from = place;
        extend(place);
    }
    function extend(to) {
        line(width, height, from, to, +size.value, marker());
        from = to;
        ask();
    }
    function end() {
        from = null;
        const changed = painting.end(),
            id = tool === "eraser" ? 0 : model.get("object_id");
        if (changed) finished(`${changed.toLocaleString("en")} pixels changed to ${name(id)}.`);
    }
    function addCorner(place) {
        const [x, y] = corners[0] ?? [NaN, NaN];
        const home = (6 * ratio) / view.scale; // so near to the first corner closes the polygon
        if (corners.length > 2 && Math.hypot(place[0] - x, place[1] - y) <= Math.max(home, 0.5)) return closePolygon();
        if (place.join() !== corners.at(-1)?.join()) corners.push(place); // a double click comes twice
        say(`Corner ${corners.length} at x ${place[0]}, y ${place[1]}. Enter fills, Backspace takes it away.`);
        ask();
    }
    function closePolygon() {
        if (corners.length > 2) {
            polygon(width, height, corners, marker());
            corners = [];
            end();
        } else say("A polygon needs three corners.");
        ask();
    }
    function undo() {
        if (!from) painting.undo() ? finished("Undone.") : say("There is nothing to undo.");
    }
    function redo() {
        if (!from) painting.redo() ? finished("Done again.") : say("There is nothing to redo.");
    }
    function finished(text) {
        say(text);
        showObjects();
        update();
        send();
    }
    function zoomBy(factor, place) {
        view.zoomTo(view.zoom * factor, place);
        say(`Zoom ${view.zoom.toFixed(1)}×.`);
        painting.touchAll(); // rims become lines, and back
        update();
    }

    // ---- to Python and from it. Packing takes a moment: the chain keeps the order
    let chain = Promise.all([bitmap(model.get("picture")), unpacked(model.get("ids"))])
        .then(([picture, ids]) => {
            photo = pixelsOf(picture);
            painting.open(ids);
            painting.done = []; // what was there at the beginning is not undone
            say(`Draw on the image with the mouse to mark object ${model.get("object_id")}.`);
            selected();
        })
        .catch((error) => say(`The image cannot be shown in this browser (${error.message}).`));
    function send() {
        const now = painting.ids.slice();
        chain = chain.then(async () => {
            const ids = await packed(now);
            if (closed) return;
            model.set("author", me);
            model.set("ids", ids);
            model.save_changes();
        });
    }
    function receive() {
        if (model.get("author") === me) return;
        const sent = model.get("ids");
        chain = chain.then(async () => {
            painting.open(await unpacked(sent));
            selected();
        });
    }
    function selected() {
        showObjects();
        update();
    }

    // ---- mouse, pen and finger
    const pixel = (event) => view.at(event).map(Math.floor);
    canvas.addEventListener("pointerdown", (event) => {
        canvas.focus({ preventScroll: true });
        canvas.setPointerCapture(event.pointerId);
        cursor = pixel(event);
        if (event.button === 1 || (event.button === 0 && (tool === "hand" || event.shiftKey))) drag = view.at(event);
        else if (event.button === 0 && photo) tool === "polygon" ? addCorner(cursor) : begin(cursor);
        event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
        if (drag) {
            const [x, y] = view.at(event);
            view.move(view.left + drag[0] - x, view.top + drag[1] - y);
        } else if (from) {
            const passed = event.getCoalescedEvents?.() ?? [];
            for (const each of passed.length ? passed : [event]) extend(pixel(each));
        }
        cursor = pixel(event);
        where.textContent = place();
        ask();
    });
    const release = () => {
        drag = null;
        if (from) end();
    };
    canvas.addEventListener("pointerenter", () => (hovered = true));
    canvas.addEventListener("pointerleave", () => ((hovered = false), ask()));
    canvas.addEventListener("focus", ask);
    canvas.addEventListener("pointerup", release);
    canvas.addEventListener("pointercancel", release);
    canvas.addEventListener("blur", () => (release(), ask()));
    canvas.addEventListener("dblclick", () => {
        if (tool === "polygon" && corners.length > 2) closePolygon();
        else corners = [];
    });
    canvas.addEventListener(
        "wheel",
        (event) => {
            if (!event.ctrlKey && !event.metaKey) return; // the page scrolls
            event.preventDefault();
            zoomBy(2 ** (-event.deltaY / 200), view.at(event));
        },
        { passive: false },
    );

    // ---- keyboard
    function key(event) {
        if (event.altKey) return;
        const pressed = event.key.toLowerCase();
        const act =
            event.ctrlKey || event.metaKey
                ? { z: event.shiftKey ? redo : undo, y: redo }[pressed]
                : (event.target === canvas && onCanvas(event)) || anywhere(pressed);
        if (!act) return;
        event.preventDefault();
        event.stopPropagation();
        act();
    }
    function onCanvas(event) {
        if (ARROWS[event.key]) return () => step(ARROWS[event.key], event.shiftKey ? 10 : 1);
        return {
            " ": () => event.repeat || (tool === "polygon" ? addCorner(cursor) : tool !== "hand" && begin(cursor)),
            Enter: () => tool === "polygon" && closePolygon(),
            Backspace: () => (corners.pop(), ask()),
            Escape: () => ((corners = []), ask()),
        }[event.key];
    }
    function anywhere(pressed) {
        if (/^[1-9]$/.test(pressed)) return () => select(+pressed);
        return {
            b: () => choose("brush"),
            e: () => choose("eraser"),
            p: () => choose("polygon"),
            h: () => choose("hand"),
            n: addObject,
            o: () => outline.click(),
            "[": () => resize(-2),
            "]": () => resize(2),
            "+": () => zoomBy(1.5, cursor),
            "=": () => zoomBy(1.5, cursor),
            "-": () => zoomBy(1 / 1.5, cursor),
            0: () => zoomBy(0, cursor),
        }[pressed];
    }
    function keyUp(event) {
        if (event.key === " " && from) end();
    }
    function step([dx, dy], far) {
        cursor = [
            Math.min(Math.max(cursor[0] + far * dx, 0), width - 1),
            Math.min(Math.max(cursor[1] + far * dy, 0), height - 1),
        ];
        if (from) extend(cursor);
        view.show(cursor);
        say(place());
        ask();
    }
    function resize(by) {
        size.value = +size.value + by;
        say(`The brush is ${size.value} pixels wide.`);
        update();
    }

    // ---- size, beginning and end
    const observer = new ResizeObserver(() => {
        const wide = Math.min(root.clientWidth - 16, 960, (640 * width) / height);
        if (wide <= 0 || canvas.style.width === `${wide}px`) return;
        ratio = sharpen(canvas, wide, (wide * height) / width);
        repaint();
    });
    observer.observe(root);
    model.on("change:ids", receive);
    model.on("change:object_id", selected);
    return () => {
        closed = true;
        cancelAnimationFrame(waiting);
        observer.disconnect();
        model.off("change:ids", receive);
        model.off("change:object_id", selected);
    };
}

export default { render };
