// MemorySurgery: wishes go to Python, which tracks and draws; here they are gathered and its answers shown.

const WAIT = 60;  // ms without another change before a wish is sent

function render({ model, el }) {
    const facts = model.get("facts"), [height, width] = facts.size, urls = [];
    const url = (view) => {
        const made = URL.createObjectURL(new Blob([view], { type: "image/jpeg" }));
        urls.push(made);
        return made;
    };

    // controls
    let timer = null;
    const wish = (name, value) => {
        model.set(name, value);
        clearTimeout(timer);
        timer = setTimeout(() => model.save_changes(), WAIT);
    };
    const slider = (name, label, values, words = String) => {
        const input = element("input", { type: "range", min: 0, max: values.length - 1, "aria-label": label, class: name });
        const shown = element("output"), title = element("span", {}, label);
        input.addEventListener("input", () => { wish(name, values[input.value]); update(); });
        const update = () => {
            const value = model.get(name);
            input.value = values.indexOf(value);
            shown.textContent = words(value);
            input.setAttribute("aria-valuetext", words(value));
            title.classList.toggle("changed", name in facts.own && value !== facts.own[name]);
        };
        return { node: element("label", {}, title, input, shown), input, update };
    };
    const choice = (name, label, names) => {
        const options = Object.entries(names).map(([value, words]) => element("option", { value }, words));
        const input = element("select", { "aria-label": label, class: name }, ...options), title = element("span", {}, label);
        input.addEventListener("change", () => { wish(name, input.value); refresh(); });
        const update = () => {
            input.value = model.get(name);
            title.classList.toggle("changed", model.get(name) !== facts.own[name]);
        };
        return { node: element("label", {}, title, input), update };
    };
    const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
    const tops = [...new Set([1, 2, 5, 10, 20, 50, 100, facts.own.top_k || 1])].sort((a, b) => a - b);
    const warmths = [...new Set([...range(-6, 6).map((x) => 2 ** (x / 2)), facts.own.temperature])].sort((a, b) => a - b);
    const policies = { own: `as before: ${facts.policy}` };
    for (const name of Object.keys(facts.policies)) policies[name] = name;
    const frame = slider("frame", "draw anew: frame", range(facts.first, facts.last));
    const controls = [
        choice("policy", "frames that are kept", policies),
        slider("number", "n", range(1, 10)),
        slider("top_k", "top-k: read the best", [...tops, 0], (k) => (k ? String(k) : "all")),
        choice("kind", "similarity", Object.fromEntries(facts.kinds.map((kind) => [kind, SIMILARITIES[kind]]))),
        slider("temperature", "temperature: sharp to blurred", warmths, (x) => String(Number(x.toPrecision(2)))),
    ];
    const ask = (content, ...buffers) => model.send(content, undefined, buffers);
    const button = (words, act, name) => element("button", { onclick: act, class: name }, words);
    const goOn = button("track on to the end", () => ask({ ask: "go on" }), "go-on");
    const stop = button("stop", () => ask({ ask: "stop" }), "stop");
    const reset = button("undo all changes", () => ask({ ask: "reset" }), "reset");
    const bar = element("progress", { max: 1, value: 0 }), barWords = element("span", { class: "going" });

    // what is shown
    const memory = element("span"), strip = element("div", { class: "strip" }), sheet = element("div");
    const words = element("p", { class: "words", "aria-live": "polite" });
    const found = element("img", { alt: "the mask as it was found" }), now = element("img", { alt: "the new mask" });
    const foundTitle = element("div"), nowTitle = element("div"), chart = element("div", { class: "chart" });
    const colours = facts.ids.map((id) => element("span", {},
        element("span", { class: "swatch", style: `background: ${colourOf(id)}` }), `object ${id}`));
    const striped = element("span", {}, element("span", { class: "swatch stripes" }), "pixels that changed");
    const legend = element("div", { class: "row quiet" }, ...colours, striped);
    el.append(element("div", { class: "vos surgery" },
        element("p", { class: "about" }, facts.about),
        element("div", { class: "row" }, frame.node, goOn, stop, reset, bar, barWords),
        memory, strip, sheet,
        element("div", { class: "row" }, element("b", {}, "How memory is made and read:"), ...controls.map((control) => control.node)),
        words, legend,
        element("div", { class: "pair" }, element("figure", {}, foundTitle, found), element("figure", {}, nowTitle, now)),
        chart,
    ));

    function refresh() {
        for (const control of [frame, ...controls]) control.update();
        const of = facts.policies[model.get("policy")];
        controls[1].node.style.display = of ? "" : "none";
        controls[1].node.firstChild.textContent = of ?? "";
    }

    function showStrip() {
        const { memory: held, long_term: cells, frame: t } = model.get("answer"), thumbs = model.get("thumbs");
        const out = held.filter((entry) => entry.out).length;
        memory.textContent = `The memory that frame ${t} reads: ${held.length - out} of ${held.length} frames` +
            (cells ? ` and ${cells} cells of long-term memory` : "") + ", each with the mask it is remembered with";
        strip.replaceChildren(...held.map(({ frame: f, out, painted }) => {
            const state = out ? "taken out" : painted ? "repainted" : "";
            const others = model.get("removed").filter((x) => x !== f);
            return element("figure", { class: out ? "out" : "", "data-frame": f },
                element("img", { src: thumbs[f] ? url(thumbs[f]) : "", alt: `frame ${f} with its mask` }),
                element("figcaption", {}, `frame ${f} `, element("b", {}, state), element("br"),
                    button(out ? "put back" : "take out", () => wish("removed", out ? others : [...others, f]), "take"),
                    button("repaint", () => ask({ ask: "open", frame: f }), "repaint")));
        }));
    }

    function show() {
        const answer = model.get("answer"), [before, after] = answer.scores;
        const score = (x) => (x === null ? "" : `: J&F ${x.toFixed(3)}`);
        for (const old of urls.splice(0)) URL.revokeObjectURL(old);
        found.src = url(answer.found);
        now.src = url(answer.now);
        foundTitle.textContent = `frame ${answer.frame}, as it was found${score(before)}`;
        nowTitle.textContent = `frame ${answer.frame}, from the changed memory${score(after)}`;
        words.textContent = answer.words;
        words.classList.toggle("wrong", answer.words.startsWith("No mask"));
        const points = (values) => values.map((value, t) => [t, value === null ? NaN : value]);
        if (answer.before.some((x) => x !== null)) {
            chart.replaceChildren(lineChart(
                [{ points: points(answer.before), dashed: true, label: "as found" },
                    { points: points(answer.after), dots: true, label: "changed memory" }],
                { title: "J&F of each frame (click: go there)", unit: "frame", x: [0, facts.last], y: [0, 1], mark: answer.frame,
                    width: 900, height: 150, onpick: (t) => { wish("frame", Math.max(t, facts.first)); refresh(); } },
            ));
        }
        showStrip();
        el.dispatchEvent(new CustomEvent("painted"));  // so that the time from hand to eye can be measured
    }

    function showProgress() {
        const { frame: t, start, last, running } = model.get("progress");
        stop.disabled = !running;
        goOn.disabled = Boolean(running);
        bar.style.visibility = running ? "visible" : "hidden";
        if (running) bar.value = (t - start + 1) / (last - start + 1);
        barWords.textContent = running ? `tracking frame ${t} of ${last}` : "";
    }

    // the brush
    async function openSheet() {
        const { frame: t, picture, mask } = model.get("sheet");
        const zipped = new Blob([mask]).stream().pipeThrough(new DecompressionStream("deflate"));
        const ids = new Uint8Array(await new Response(zipped).arrayBuffer()), image = await bitmap(picture);
        const canvas = element("canvas", { width: 2 * width, height: 2 * height, "aria-label": `mask of frame ${t}` });
        const context = canvas.getContext("2d"), layer = new OffscreenCanvas(width, height), tint = new ImageData(width, height);
        let chosen = facts.ids[0], size = Math.round(height / 16), last = null;
        const draw = () => {
            for (let i = 0; i < ids.length; i++) {
                const id = ids[i], inside = id > 0 && id < 255;
                const edge = inside && (ids[i - 1] !== id || ids[i + 1] !== id || ids[i - width] !== id || ids[i + width] !== id);
                const colour = edge ? "#FFFFFF" : inside ? colourOf(id) : "#000000";
                for (let c = 0; c < 3; c++) tint.data[4 * i + c] = parseInt(colour.slice(1 + 2 * c, 3 + 2 * c), 16);
                tint.data[4 * i + 3] = edge ? 255 : inside ? 140 : 0;
            }
            layer.getContext("2d").putImageData(tint, 0, 0);
            context.drawImage(image, 0, 0, 2 * width, 2 * height);
            context.drawImage(layer, 0, 0, 2 * width, 2 * height);
        };
        const dab = (x, y) => {
            for (let row = Math.max(0, Math.ceil(y - size)); row <= Math.min(height - 1, y + size); row++) {
                for (let column = Math.max(0, Math.ceil(x - size)); column <= Math.min(width - 1, x + size); column++) {
                    if ((row - y) ** 2 + (column - x) ** 2 <= size ** 2) ids[row * width + column] = chosen;
                }
            }
        };
        const stroke = (event) => {
            const box = canvas.getBoundingClientRect();
            const x = ((event.clientX - box.left) / box.width) * width, y = ((event.clientY - box.top) / box.height) * height;
            const [fromX, fromY] = last ?? [x, y], steps = Math.ceil(Math.hypot(x - fromX, y - fromY) / Math.max(1, size / 2)) || 1;
            for (let i = 1; i <= steps; i++) dab(fromX + ((x - fromX) * i) / steps, fromY + ((y - fromY) * i) / steps);
            last = [x, y];
            draw();
        };
        canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); last = null; stroke(event); });
        canvas.addEventListener("pointermove", (event) => { if (event.buttons) stroke(event); });
        const brushes = [0, ...facts.ids].map((id) => button(id ? `object ${id}` : "background", () => { chosen = id; press(); }, "brush"));
        const press = () => brushes.forEach((one, i) => one.setAttribute("aria-pressed", String([0, ...facts.ids][i] === chosen)));
        facts.ids.forEach((id, i) => { brushes[i + 1].style.borderLeft = `12px solid ${colourOf(id)}`; });
        const thick = element("input", { type: "range", min: 1, max: Math.round(height / 4), value: size, "aria-label": "brush size" });
        thick.addEventListener("input", () => { size = Number(thick.value); });
        const done = () => sheet.replaceChildren();
        const use = () => { ask({ ask: "paint", frame: t }, ids.buffer); done(); };
        sheet.replaceChildren(element("div", { class: "sheet" },
            element("div", { class: "row" }, element("b", {}, `Paint the mask that frame ${t} is remembered with:`), ...brushes,
                element("label", {}, "brush", thick), button("use this mask", use, "use"),
                button("back to the mask as found", () => { ask({ ask: "paint", frame: t }); done(); }), button("cancel", done)),
            canvas));
        press();
        draw();
    }

    const wishes = ["frame", "removed", "policy", "number", "top_k", "kind", "temperature"].map((name) => `change:${name}`).join(" ");
    const listeners = [[wishes, refresh], ["change:answer", show], ["change:thumbs", showStrip],
        ["change:progress", showProgress], ["change:sheet", openSheet]];
    for (const [event, act] of listeners) model.on(event, act);
    refresh();
    show();
    showProgress();
    return () => {
        clearTimeout(timer);
        for (const [event, act] of listeners) model.off(event, act);
        for (const old of urls) URL.revokeObjectURL(old);
    };
}

export default { render };
