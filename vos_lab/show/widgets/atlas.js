// FalseMatchAtlas: everything was computed in Python; here it is filtered and drawn.

const PAGE = 6;  // rows at a time
const ZOOM = 2;  // canvas pixels per pixel of a frame

function render({ model, el }) {
    const facts = model.get("facts"), entries = model.get("entries"), pictures = model.get("pictures");
    const [height, width] = facts.size, cropHeight = Math.min(facts.crop[0], height), cropWidth = Math.min(facts.crop[1], width);
    const bitmaps = new Map();  // frame -> a promise of its picture
    const two = facts.names.length > 1;
    let count = PAGE;

    const select = (name, label, options) => {
        const input = element("select", { "aria-label": label, class: name },
            ...options.map(([value, words]) => element("option", { value }, words)));
        input.value = String(model.get(name));
        input.addEventListener("change", () => {
            model.set(name, name === "object_id" ? Number(input.value) : input.value);
            model.save_changes();
            count = PAGE;
            show();
        });
        return element("label", {}, label, input);
    };
    const kinds = Object.entries(facts.kinds).map(([kind, words]) => [kind, words.replace(" {}", "")]);
    const controls = [
        select("kind", "kind of mistake", [["all", "all kinds"], ...kinds]),
        select("object_id", "object", [["0", "all objects"], ...facts.ids.map((id) => [String(id), `object ${id}`])]),
    ];
    if (two) {
        controls.push(select("order", "show first", [["mass", `the worst of ${facts.names[0]}`],
            ["gain", `where ${facts.names[1]} is better`]]));
    }
    const words = element("p", { class: "words", "aria-live": "polite" });
    const list = element("div", { class: "list" });
    const more = element("button", { class: "more", onclick: () => { count += PAGE; show(); } }, "show more");
    const scale = element("span", {}, "bright cells: where it looked; weight: none ", element("span", { class: "scale" }), " most");
    el.append(element("div", { class: "vos atlas" }, element("p", { class: "about" }, facts.about),
        element("div", { class: "row" }, ...controls, scale), words, list, more));

    function chosen() {
        const kind = model.get("kind"), id = model.get("object_id");
        const passed = entries.filter((e) => (kind === "all" || e.kind === kind) && (id === 0 || e.object_id === id));
        const gain = (e) => e.looked[e.looked.length - 1].false - e.looked[0].false;
        return model.get("order") === "gain" ? [...passed].sort((a, b) => gain(a) - gain(b)) : passed;
    }

    function show() {
        const passed = chosen(), objects = new Set(passed.map((e) => e.object_id)).size;
        words.textContent = passed.length
            ? `${passed.length} different failures, of ${objects} object${objects > 1 ? "s" : ""}; the worst is ` +
                `${percent(passed[0].mass)} wrong. Near cells and frames that fail alike are shown once.`
            : "No such failure: nowhere does a quarter or more of a cell's weight fall on another label.";
        list.replaceChildren(...passed.slice(0, count).map(row));
        more.style.display = passed.length > count ? "" : "none";
        more.textContent = `show more (${passed.length - count} left)`;
    }

    function row(entry, index) {
        const panel = (look, which, title, ...text) => {
            const canvas = element("canvas", { width: ZOOM * cropWidth, height: ZOOM * cropHeight, role: "img", "aria-label": title });
            draw(canvas, look, facts.grids[which]);
            return element("figure", {}, element("b", {}, title), canvas, ...text);
        };
        const looked = entry.looked.map((look, i) => panel(look, i, `${two ? facts.names[i] : "it"} looked: frame ${look.frame}`,
            element("span", { class: look.false >= 0.25 ? "wrong" : "" }, `${percent(look.false)} of its weight is false`),
            `, ${percent(look.right)} lies ${facts.exact ? "within a cell of the right place" : "on its own label"}`));
        const should = entry.should
            ? panel(entry.should, 0, `should look: frame ${entry.should.frame}`, entry.should_words)
            : element("figure", {}, element("b", {}, "should look: nowhere in memory"), element("div", { class: "none" }, entry.should_words));
        return element("div", { class: "entry", tabindex: 0, onkeydown: move },
            element("h4", {}, `${index + 1}. Frame ${entry.frame}: ${entry.words}`),
            element("div", { class: "looks" }, panel(entry, 0, `asks: frame ${entry.frame}`), ...looked, should));
    }

    function move(event) {  // arrow keys go from row to row
        const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
        if (!next || !event.currentTarget[next]) return;
        event.preventDefault();
        event.currentTarget[next].focus();
    }

    // a piece of a frame around the cell, its weights over a pale picture, the objects' numbers
    async function draw(canvas, look, { stride, above, left }) {
        const t = look.frame, context = canvas.getContext("2d");
        if (!bitmaps.has(t)) bitmaps.set(t, bitmap(pictures[t]));
        const picture = await bitmaps.get(t);
        const [row, column] = look.cell, corner = (r, c) => [c * stride - left, r * stride - above];
        const [x, y] = corner(row, column), within = (low, high) => Math.max(0, Math.min(low, high));
        const x0 = within(x + stride / 2 - cropWidth / 2, width - cropWidth);
        const y0 = within(y + stride / 2 - cropHeight / 2, height - cropHeight);
        context.scale(ZOOM, ZOOM);
        context.drawImage(picture, x0, y0, cropWidth, cropHeight, 0, 0, cropWidth, cropHeight);
        context.translate(-x0, -y0);
        if (look.weights) {
            context.fillStyle = "rgba(255, 255, 255, 0.35)";
            context.fillRect(0, 0, width, height);
            const most = Math.max(...look.weights.map(([, , weight]) => weight));
            for (const [r, c, weight] of look.weights) {
                const share = weight / most;
                context.fillStyle = `rgba(${cividis(share).map(Math.round).join(", ")}, ${0.35 + 0.6 * share})`;
                context.fillRect(...corner(r, c), stride, stride);
            }
        }
        context.font = "bold 10px system-ui, sans-serif";
        for (const [id, tx, ty] of facts.tags[t]) {
            context.fillStyle = "#000";
            context.fillRect(tx - 6, ty - 7, 12, 13);
            context.fillStyle = colourOf(id);
            context.fillText(String(id), tx - 3, ty + 3);
        }
        const [middleX, middleY] = [x + stride / 2, y + stride / 2], near = stride / 2 + 1, far = near + 9;
        for (const [colour, line] of [["#000", 3], ["#fff", 1.5]]) {  // the cell, and four arms that point at it
            context.strokeStyle = colour;
            context.lineWidth = line;
            context.strokeRect(x, y, stride, stride);
            context.beginPath();
            for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
                context.moveTo(middleX + dx * near, middleY + dy * near);
                context.lineTo(middleX + dx * far, middleY + dy * far);
            }
            context.stroke();
        }
    }

    show();
}

export default { render };
