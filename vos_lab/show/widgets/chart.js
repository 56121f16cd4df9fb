// A small line chart, drawn as SVG: numbers over frames or steps. Beside common.js.

// series: [{points: [[x, y], ...], dashed, dots, label}] · options: title, unit: what x counts, x and y as [low, high], mark: the x
// that is shown, onpick(x): called with the x that was clicked
function lineChart(series, { title, unit, x, y, mark = null, onpick = null, width = 360, height = 150 }) {
    const NS = "http://www.w3.org/2000/svg", left = 52, right = 10, top = 24, bottom = 24;
    const make = (tag, attributes, text = "") => {
        const node = document.createElementNS(NS, tag);
        for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
        node.textContent = text;
        return node;
    };
    const atX = (value) => left + ((value - x[0]) / (x[1] - x[0] || 1)) * (width - left - right);
    const atY = (value) => height - bottom - ((value - y[0]) / (y[1] - y[0] || 1)) * (height - top - bottom);
    const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title, style: "max-width: 100%; height: auto" });
    svg.append(make("text", { x: left, y: 14, "font-size": 13, "font-weight": 600, fill: "#111" }, title));
    for (const value of ticks(...y, 4)) {
        svg.append(make("line", { x1: left, x2: width - right, y1: atY(value), y2: atY(value), stroke: "#ddd" }));
        svg.append(make("text", { x: left - 6, y: atY(value) + 4, "font-size": 12, "text-anchor": "end", fill: "#333" }, short(value)));
    }
    const below = { y: height - 6, "font-size": 12, "text-anchor": "end", fill: "#333" };
    svg.append(make("text", { ...below, x: left - 12 }, unit));
    for (const value of ticks(...x, 5)) {
        const half = 3.5 * short(value).length; // so that the last one is not cut off
        svg.append(make("text", { ...below, x: Math.min(atX(value) + half, width - 1) }, short(value)));
    }
    if (mark !== null) {
        svg.append(make("line", { x1: atX(mark), x2: atX(mark), y1: top, y2: height - bottom, stroke: "#0072B2", "stroke-width": 2 }));
        const side = atX(mark) > width / 2 ? { x: atX(mark) - 5, "text-anchor": "end" } : { x: atX(mark) + 5 };
        svg.append(make("text", { ...side, y: height - bottom - 5, "font-size": 12, fill: "#0072B2" }, "shown"));
    }
    const pen = element("canvas").getContext("2d");
    pen.font = "12px system-ui, sans-serif";
    let from = width - right;
    for (const { points, dashed, dots, label } of series) {
        const shown = points.filter(([, value]) => Number.isFinite(value));
        const path = shown.map(([a, b]) => `${atX(a).toFixed(1)},${atY(b).toFixed(1)}`).join(" ");
        const line = { points: path, fill: "none", stroke: dashed ? "#767676" : "#111", "stroke-width": 2 };
        svg.append(make("polyline", dashed ? { ...line, "stroke-dasharray": "6 4" } : line));
        for (const [a, b] of dots ? shown : []) svg.append(make("circle", { cx: atX(a), cy: atY(b), r: 3, fill: "#111" }));
        if (label) {  // the legend, from the right
            svg.append(make("text", { x: from, y: 14, "font-size": 12, "text-anchor": "end", fill: "#333" }, label));
            const end = from - pen.measureText(label).width - 6;
            const key = { x1: end - 24, x2: end, y1: 10, y2: 10, stroke: dashed ? "#767676" : "#111", "stroke-width": 2 };
            svg.append(make("line", dashed ? { ...key, "stroke-dasharray": "6 4" } : key));
            from = end - 34;
        }
    }
    if (onpick) {
        svg.style.cursor = "pointer";
        svg.addEventListener("click", (event) => {
            const at = ((event.clientX - svg.getBoundingClientRect().left) * width) / svg.getBoundingClientRect().width;
            const value = x[0] + ((at - left) / (width - left - right)) * (x[1] - x[0]);
            onpick(Math.round(Math.min(Math.max(value, x[0]), x[1])));
        });
    }
    return svg;
}

// about `count` round numbers from low to high
function ticks(low, high, count) {
    const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((x) => x * power).find((x) => x >= rough);
    const found = [];
    for (let value = Math.ceil(low / step) * step; value <= high + step / 1e6; value += step) found.push(value);
    return found;
}

const short = (value) => String(Number(value.toPrecision(3)));
