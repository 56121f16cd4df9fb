// The page of the explorer: controls, legend, and what it says in words.

function controlsOf(model, listen, choose) {
    const kinds = ["l2", "dot", "cosine", ...(model.get("shrinkage").byteLength ? ["anisotropic"] : [])];
    const kind = element("select", {}, ...kinds.map((name) => element("option", { value: name }, SIMILARITIES[name])));
    const temperature = element("input", { type: "range", min: -5, max: 5, step: 0.25, "aria-label": "temperature" });
    const degrees = element("output");
    const topK = element("input", { type: "number", min: 1, max: 9999, "aria-label": "top-k" });
    const all = element("input", { type: "checkbox" });
    const norm = element("input", { type: "checkbox" });
    const opacity = element("input", { type: "range", min: 0, max: 1, step: 0.05, "aria-label": "opacity of the heat" });
    const reset = element("button", { type: "button" }, "back to how the tracker read");
    const tracked = model.get("tracked");
    listen(kind, "change", () => choose({ kind: kind.value }, true));
    listen(temperature, "input", () => choose({ temperature: 2 ** Number(temperature.value) }));
    const keep = () => choose({ top_k: all.checked ? null : clamp(Math.round(Number(topK.value)) || 1, 1, 9999) }, true);
    listen(topK, "input", keep);
    listen(all, "change", keep);
    listen(norm, "change", () => choose({ norm_term: norm.checked }, true));
    listen(opacity, "input", () => choose({ opacity: Number(opacity.value) }));
    listen(reset, "click", () => choose(tracked, true));
    let shown = "";
    const show = (settings) => {
        const state = JSON.stringify(SETTINGS.map((name) => model.get(name)));
        if (state === shown) return;
        shown = state;
        kind.value = settings.kind;
        if (document.activeElement !== temperature) temperature.value = Math.log2(settings.temperature);
        degrees.textContent = Number(settings.temperature.toPrecision(3));
        all.checked = settings.top_k === null;
        topK.disabled = all.checked;
        if (settings.top_k !== null && document.activeElement !== topK) topK.value = settings.top_k;
        norm.checked = settings.norm_term;
        norm.disabled = settings.kind !== "l2";
        opacity.value = model.get("opacity");
        reset.disabled = Object.keys(tracked).every((name) => JSON.stringify(model.get(name)) === JSON.stringify(tracked[name]));
    };
    const node = element("div", { class: "row", role: "group", "aria-label": "how memory is read" },
        element("b", {}, "How memory is read:"),
        element("label", {}, "similarity", kind),
        element("label", { title: "the term of l2 that silences keys that are long; others have none" }, norm, "|k|² term: long keys count less"),
        element("label", { title: "divides the similarity: small is sharp" }, "temperature", degrees, "sharp", temperature, "blurred"),
        element("label", { title: "only so many memory cells are read" }, "top-k: read the best", topK),
        element("label", {}, all, "all cells"),
        element("label", {}, "heat opacity", opacity),
        reset);
    return { node, show };
}

function legendOf(boards) {
    const labels = [...new Set(boards.flatMap((board) => [...board.labels]))].filter((label) => label !== MIXED).sort((a, b) => a - b);
    const swatch = (label) => element("span", { class: "swatch", style: `background: ${fillOf(label)}` }, label % MIXED || "");
    const mark = (draw, side, words) => {
        const canvas = element("canvas", { width: 44, height: 44, class: "mark" });
        draw(canvas.getContext("2d"), { x: 22 - side / 2, y: 22 - side / 2, side, dense: 2 });
        return element("span", {}, canvas, words);
    };
    const colours = CIVIDIS.map((colour) => `rgb(${colour})`), most = element("span");
    const scale = element("span", { class: "scale", style: `background: linear-gradient(to right, ${colours})` });
    const node = element("div", { class: "legend" },
        ...labels.map((label) => element("span", {}, swatch(label), nameOf(label))),
        element("span", {}, swatch(MIXED), "mixed: cells on an outline"),
        element("span", {}, element("span", { class: "swatch false" }), "striped: false, on something else"),
        mark(drawChosen, 10, "chosen cell"),
        mark(drawRing, 12, "strongest match"),
        mark(drawSquare, 16, "match: a cell that is read"),
        mark(drawCross, 16, "false match: on something else"),
        mark(drawDot, 16, "match of under 1 %"),
        element("span", {}, "weight of a cell: 0", scale, most));
    return { node, most };
}

// an unchanged text is left alone: a new one makes the browser lay out the page again
function say(node, text) {
    if (node.textContent !== text) node.textContent = text;
}

function pageOf(model, boards, controls) {
    const [query, ...memory] = boards, legend = legendOf(boards), labels = memory.flatMap((board) => [...board.labels]);
    const words = element("p", { class: "words", "aria-live": "polite" }), hint = element("p", { class: "hint" });
    const heading = element("h4"), answering = element("h4"), dense = window.devicePixelRatio || 1;
    const [one, other, around] = [0, 1, 2].map(() => {
        const canvas = element("canvas", { width: 150 * dense, height: 150 * dense, class: "magnifier", "aria-hidden": "true" });
        const caption = element("figcaption");
        return { canvas, caption, node: element("figure", {}, canvas, caption) };
    });
    for (const board of memory) {
        board.toggle = element("input", { type: "checkbox", "aria-label": `read ${board.panel.title}` });
        board.caption = element("span");
        board.node = element("figure", {}, element("figcaption", {}, element("label", {}, board.toggle, board.caption)), element("div", {}, board.canvas));
    }
    const across = memory.length <= 4 ? Math.max(memory.length, 2) : memory.length <= 6 ? 3 : 4;
    const root = element("div", { class: "vos explorer", "data-lm-suppress-shortcuts": "true" },
        element("p", { class: "about" }, model.get("sentence")),
        element("div", { class: "top" },
            element("figure", {}, heading, element("div", {}, query.canvas)),
            element("div", { class: "side" }, words, hint,
                element("div", { class: "magnifiers" }, one.node, other.node, around.node))),
        controls.node, answering,
        element("div", { class: "strip", style: `--across: ${across}` }, ...memory.map((board) => board.node)),
        legend.node,
        element("p", { class: "hint" }, `Outlines and labels of cells (and so what counts as false) come from ${model.get("source")}.`));

    // the chosen cell, its strongest match, and that place with all matches there
    function magnify(board, index, strongest, answer) {
        drawChosen(one.canvas.getContext("2d"), cellIn(drawMagnifier(one.canvas, board, index, true), board, index));
        for (const { canvas } of [other, around]) clearMagnifier(canvas);
        if (!strongest) return;
        const pen = other.canvas.getContext("2d"), view = drawMagnifier(other.canvas, strongest, answer.best, true);
        drawRing(pen, cellIn(view, strongest, answer.best));
        drawMagnifier(around.canvas, strongest, answer.best, false);
        drawAnswer(around.canvas.getContext("2d"), strongest, view, answer);
    }

    function describe({ asks, board, index, weights, max, strongest, settings, known }) {
        const own = board.labels[index], [frame, row, column] = placeOf(board, index), without = model.get("without");
        const pin = model.get("pinned") ? "Pinned: click the cell again or press Escape to let go." : "Click to pin.";
        say(words, wordsOf({ asks, own, known, shares: sharesOf(weights, asks ? labels : query.labels) }));
        say(hint, asks ? pin : `${givesOf(weights, settings, known)} ${pin}`);
        say(heading, `Query, ${query.panel.title}: ${asks ? "the marked cell looks into memory" : "who reads that cell (bar: what they are)"}`);
        say(answering, asks
            ? "Memory: where it looks. Bars: its parts, 100 % in all; untick a frame to leave it out"
            : "Memory: the marked cell");
        say(one.caption, `enlarged: ${asks ? "" : `frame ${frame}, `}row ${row}, column ${column}`);
        const where = strongest?.panel.title.split(":")[0];
        say(other.caption, max ? `${asks ? `strongest match: ${where},` : "strongest reader: gives it"} ${percent(max)}` : "");
        say(around.caption, max ? "all matches near there" : "");
        say(legend.most, percent(max));
        for (const { panel, start, count, caption, toggle, canvas } of memory) {
            const part = weights.subarray(start, start + count), off = without.includes(panel.name);
            say(caption, off ? `${panel.title}: switched off` : asks ? `${panel.title}: ${percent(sumOf(part))}` : panel.title);
            toggle.checked = !off;
            canvas.classList.toggle("off", off);
        }
    }
    return { root, magnify, describe };
}

// what is read, or who reads, in words; shares: [label, weight], the largest first
function wordsOf({ asks, own, known, shares }) {
    const thing = own === MIXED ? "mixed cell" : own === 0 ? "cell of the background" : `cell of object ${own}`;
    const who = `This ${asks ? "" : "memory "}${thing}`;
    const total = shares.reduce((sum, [, w]) => sum + w, 0);
    if (!total) return asks ? `${who} reads nothing: all of memory is switched off.` : `${who} is read by nobody${known < 1 ? " so far" : ""}.`;
    const parts = shares.filter(([, w], i) => i === 0 || w / total >= 0.005).map(([label, w]) => `${nameOf(label)}: ${percent(w / total)}`);
    const wrong = shares.reduce((sum, [label, w]) => sum + (isFalse(label, own) ? w : 0), 0) / total;
    const verdict = own === MIXED ? "not counted (a mixed cell)" : percent(wrong);
    return `${who} ${asks ? "reads" : "is read by"} ${parts.join(", ")}; false: ${verdict}.`;
}

// how much a memory cell gets of all query cells together
function givesOf(weights, { on }, known) {
    const average = weights.length / sumOf(on), counted = known < 1 ? ` Counted so far: ${percent(known)} of them.` : "";
    return `Query cells have 1 each to give: it gets ${sumOf(weights).toFixed(2)}, the average is ${average.toFixed(2)}.${counted}`;
}
