// Boards: pictures divided into cells, with what is known of each cell drawn over them.
//
// A board: {panel: its grid, in the frame's pixels; start: of its first cell among all memory cells (0 for the query's); count;
// labels, per cell; canvas; heat: a canvas of one pixel per cell; pictures: [in colour, pale]; grounds: the same, as large as canvas}

const MIXED = 255; // the label of cells that show more than one thing
const BAR = 12; // height of the bar under a picture, in CSS pixels
const LITTLE = 0.01; // weight below which it does not matter whether a match is false
const ACROSS = 11; // cells across a magnifier
const nameOf = (label) => (label === MIXED ? "mixed" : label === 0 ? "background" : `object ${label}`);
const fillOf = (label) => (label === MIXED ? "#FFFFFF" : label === 0 ? "#B0B0B0" : colourOf(label));
const isFalse = (label, own) => own !== MIXED && label !== MIXED && label !== own;

function boardsOf(model) {
    const labels = typed(Uint8Array, model.get("labels")), panels = model.get("panels");
    const cells = panels[0].rows * panels[0].columns;
    let start = -cells;
    return panels.map((panel, i) => {
        const count = panel.origins.length || cells, first = start + cells;
        start += count;
        const words = i ? `Memory, ${panel.title}` : `Query, ${panel.title}`;
        const canvas = element("canvas", { tabindex: 0, role: "application", "aria-label": `${words}: arrow keys choose a cell` });
        const cellsOfIt = labels.subarray(first, first + count);
        const heat = element("canvas", { width: panel.columns, height: panel.rows });
        const source = { picture: model.get("pictures")[i], mask: model.get("masks")[i] };
        return { panel, canvas, heat, count, source, labels: cellsOfIt, start: i ? first - cells : 0, isQuery: i === 0 };
    });
}

const clamp = (x, low, high) => Math.min(Math.max(x, low), high);
const indexOf = (board, [row, column]) => row * board.panel.columns + column;

// frame, row and column of a cell; those of its origin for a cell in long-term memory
function placeOf({ panel }, index) {
    return panel.origins[index] ?? [panel.name, Math.floor(index / panel.columns), index % panel.columns];
}

function indexAt({ panel, canvas, count }, event) {
    const place = canvas.getBoundingClientRect(), scale = panel.width / place.width;
    const x = (event.clientX - place.left) * scale + panel.left, y = (event.clientY - place.top) * scale + panel.above;
    const column = clamp(Math.floor(x / panel.cell), 0, panel.columns - 1), row = clamp(Math.floor(y / panel.cell), 0, panel.rows - 1);
    return Math.min(row * panel.columns + column, count - 1);
}

// of weights some of which are not known yet (nan)
const argmax = (weights) => weights.reduce((best, w, i) => (w > (weights[best] || 0) ? i : best), 0);
const sumOf = (weights) => weights.reduce((sum, w) => sum + (w || 0), 0);

// how much lies on each label, the most first; of weights that are known
function sharesOf(weights, labels) {
    const sums = new Map();
    weights.forEach((w, i) => w > 0 && sums.set(labels[i], (sums.get(labels[i]) ?? 0) + w));
    return [...sums].sort((a, b) => b[1] - a[1]);
}

// --- pictures

// the frame in colour and pale, both with the outlines of the objects
async function load(board) {
    const [picture, mask] = await Promise.all([bitmap(board.source.picture), bitmap(board.source.mask, "image/png")]);
    const size = { width: picture.width, height: picture.height };
    const pixels = (image) => {
        const pen = element("canvas", size).getContext("2d", { willReadFrequently: true });
        pen.drawImage(image, 0, 0);
        return pen.getImageData(0, 0, size.width, size.height);
    };
    const ids = pixels(mask).data.filter((_, i) => i % 4 === 0);
    board.badges = badgesOf(ids, size);
    const colour = pixels(picture), pale = pixels(picture);
    for (let i = 0; i < pale.data.length; i += 4) {
        const grey = (pale.data[i] + pale.data[i + 1] + pale.data[i + 2]) / 3;
        pale.data.fill(112 + 0.56 * grey, i, i + 3);
    }
    board.pictures = [colour, pale].map((image) => {
        drawOutlines(image.data, ids, size.width);
        const canvas = element("canvas", size);
        canvas.getContext("2d").putImageData(image, 0, 0);
        return canvas;
    });
}

// two pixels of its colour inside each object, one black pixel around it, so that it shows in grey as well
function drawOutlines(data, ids, width) {
    const near = (i, reach) => [i - reach, i + reach, i - reach * width, i + reach * width].map((at) => ids[at] ?? ids[i]);
    ids.forEach((id, i) => {
        const isObject = id > 0 && id < 255;
        if (isObject && [...near(i, 1), ...near(i, 2)].some((other) => other !== id)) {
            const [r, g, b] = [1, 3, 5].map((at) => parseInt(colourOf(id).slice(at, at + 2), 16));
            data.set([r, g, b], 4 * i);
        } else if (!isObject && near(i, 1).some((other) => other > 0 && other < 255)) data.set([0, 0, 0], 4 * i);
    });
}

// where the number of each object stands: at its topmost pixel, as a share of the picture
function badgesOf(ids, { width, height }) {
    const found = new Map();
    ids.forEach((id, i) => {
        if (id > 0 && id < 255 && !found.has(id)) found.set(id, { x: (i % width) / width, y: Math.floor(i / width) / height });
    });
    return found;
}

// the canvas and its grounds as large as there is room on the page, in the screen's own pixels
function fit(board) {
    const { canvas, panel } = board, dense = window.devicePixelRatio || 1;
    const width = Math.round(canvas.parentElement.clientWidth * dense), height = Math.round((width * panel.height) / panel.width);
    if (!width || (canvas.width === width && board.grounds)) return;
    Object.assign(canvas, { width, height: height + Math.round(BAR * dense) });
    Object.assign(board, { dense, state: null });
    board.grounds = board.pictures.map((picture) => {
        const ground = element("canvas", { width, height }), pen = ground.getContext("2d");
        pen.imageSmoothingQuality = "high";
        pen.drawImage(picture, 0, 0, width, height);
        if (!panel.origins.length) for (const [id, { x, y }] of board.badges) drawBadge(pen, id, x * width, y * height, dense);
        return ground;
    });
}

function drawBadge(pen, id, x, y, dense) {
    const r = 8 * dense, at = [clamp(x, r, pen.canvas.width - r), clamp(y - r, r, pen.canvas.height - r)];
    pen.beginPath();
    pen.arc(...at, r, 0, 7);
    pen.fillStyle = colourOf(id);
    pen.fill();
    pen.stroke();
    pen.fillStyle = "black";
    pen.font = `bold ${11 * dense}px system-ui, sans-serif`;
    Object.assign(pen, { textAlign: "center", textBaseline: "middle" });
    pen.fillText(id, at[0], at[1] + dense / 2);
}

// A view: what a canvas shows of a board. x, y: its corner in the frame's pixels; scale: screen pixels per pixel of the frame;
// width, height: in screen pixels; dense: screen pixels per CSS pixel.
// An answer: {weights (one per cell of the board), max: the largest of all boards, best: the cell that has it, or one outside; own:
// the label of the chosen cell; opacity of the heat; marks: whether the cells that are read are marked one by one}

const cellIn = (view, { panel }, i) => ({
    x: ((i % panel.columns) * panel.cell - panel.left - view.x) * view.scale,
    y: (Math.floor(i / panel.columns) * panel.cell - panel.above - view.y) * view.scale,
    side: panel.cell * view.scale,
    dense: view.dense,
});

// answer: null where the board does not answer; marked: the chosen cell, or -1. The board with the chosen cell is in colour.
function drawBoard(board, answer, marked) {
    const { canvas, panel, grounds, dense } = board;
    if (!grounds) return; // not on the page yet
    const blank = !answer?.weights.some((w) => w > 0), state = [blank, answer === null, marked].join();
    if (blank && board.state === state) return; // it shows this already
    board.state = state;
    const pen = canvas.getContext("2d"), { width, height } = grounds[0];
    const view = { x: 0, y: 0, scale: width / panel.width, width, height, dense };
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(grounds[marked >= 0 ? 0 : 1], 0, 0);
    if (answer) {
        drawHeat(board.heat, answer);
        drawAnswer(pen, board, view, answer);
        drawBar(pen, board, sharesOf(answer.weights, board.labels), answer.own, height);
    }
    if (marked >= 0) drawChosen(pen, cellIn(view, board, marked));
}

function drawAnswer(pen, board, view, { weights, max, best, own, marks }) {
    const { panel, heat, labels, count } = board, first = cellIn(view, board, 0);
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, view.width, view.height);
    pen.clip();
    pen.imageSmoothingEnabled = false;
    pen.drawImage(heat, first.x, first.y, panel.columns * first.side, panel.rows * first.side);
    if (marks)
        weights.forEach((w, i) => {
            const draw = w < LITTLE ? drawDot : isFalse(labels[i], own) ? drawCross : drawSquare;
            if (w > 0) draw(pen, cellIn(view, board, i));
        });
    if (max > 0 && best >= 0 && best < count) drawRing(pen, cellIn(view, board, best));
    pen.restore();
}

const HEAT = Array.from({ length: 256 }, (_, i) => cividis(i / 255));

function drawHeat(canvas, { weights, max, opacity }) {
    const pen = canvas.getContext("2d"), image = pen.createImageData(canvas.width, canvas.height);
    weights.forEach((w, i) => {
        if (!(w > 0)) return; // cells without weight stay clear
        const share = w / max, [r, g, b] = HEAT[Math.round(255 * share)];
        image.data.set([r, g, b, 255 * opacity * Math.sqrt(share)], 4 * i);
    });
    pen.putImageData(image, 0, 0);
}

// the cells around one, magnified, in colour or pale; the view, for what shall be drawn over it
function drawMagnifier(canvas, board, index, colour) {
    const pen = canvas.getContext("2d"), size = canvas.width, { panel, pictures } = board, half = (ACROSS - 1) / 2;
    const x = ((index % panel.columns) - half) * panel.cell - panel.left;
    const y = (Math.floor(index / panel.columns) - half) * panel.cell - panel.above;
    const picture = pictures[colour ? 0 : 1], fine = picture.width / panel.width, across = ACROSS * panel.cell;
    clearMagnifier(canvas);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(picture, x * fine, y * fine, across * fine, across * fine, 0, 0, size, size);
    return { x, y, scale: size / across, width: size, height: size, dense: window.devicePixelRatio || 1 };
}

function clearMagnifier(canvas) {
    const pen = canvas.getContext("2d");
    pen.fillStyle = "#EEEEEE";
    pen.fillRect(0, 0, canvas.width, canvas.height);
}

// each mark twice, dark and wide below, light and narrow above, so that it shows on any ground
function twice(pen, dense, dark, light, wide, draw) {
    for (const [colour, width] of [[dark, wide + 2], [light, wide]]) {
        Object.assign(pen, { strokeStyle: colour, lineWidth: width * dense });
        pen.beginPath();
        draw();
        pen.stroke();
    }
}
const drawDot = (pen, { x, y, side, dense }) =>
    twice(pen, dense, "black", "white", 1, () => pen.arc(x + side / 2, y + side / 2, dense / 2, 0, 7));
const drawSquare = (pen, { x, y, side, dense }) =>
    twice(pen, dense, "black", "white", 1, () => pen.rect(x - dense, y - dense, side + 2 * dense, side + 2 * dense));
const drawCross = (pen, { x, y, side, dense }) =>
    twice(pen, dense, "white", "black", 1.5, () => {
        for (const [x1, x2] of [[x, x + side], [x + side, x]]) {
            pen.moveTo(x1, y);
            pen.lineTo(x2, y + side);
        }
    });
const drawRing = (pen, { x, y, side, dense }) =>
    twice(pen, dense, "black", "white", 2, () => pen.arc(x + side / 2, y + side / 2, Math.max(1.3 * side, 9 * dense), 0, 7));
const drawChosen = (pen, { x, y, side, dense }) =>
    twice(pen, dense, "black", "white", 2, () => {
        pen.rect(x, y, side, side);
        const long = 14 * dense, [cx, cy] = [x + side / 2, y + side / 2], near = side / 2 + 2 * dense;
        for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
            pen.moveTo(cx + dx * near, cy + dy * near);
            pen.lineTo(cx + dx * (near + long), cy + dy * (near + long));
        }
    });

// the weight on each label as a bar, all of the picture's width for 100 %; what is false is hatched
function drawBar(pen, { canvas, dense, isQuery }, shares, own, top) {
    const whole = isQuery ? shares.reduce((sum, [, w]) => sum + w, 0) : 1, height = canvas.height - top, y = top + 2 * dense;
    let x = 0;
    pen.fillStyle = "#EEEEEE";
    pen.fillRect(0, y, canvas.width, height);
    for (const [label, share] of whole ? shares : []) {
        const width = (share / whole) * canvas.width;
        pen.fillStyle = fillOf(label);
        pen.fillRect(x, y, width, height);
        if (isFalse(label, own)) hatch(pen, x, y, width, height, dense);
        Object.assign(pen, { strokeStyle: "black", lineWidth: dense });
        pen.strokeRect(x, y + dense / 2, width, height - 3 * dense);
        x += width;
    }
}

function hatch(pen, x, y, width, height, dense) {
    pen.save();
    pen.beginPath();
    pen.rect(x, y, width, height);
    pen.clip();
    Object.assign(pen, { strokeStyle: "black", lineWidth: 1.5 * dense });
    pen.beginPath();
    for (let at = x - height; at < x + width; at += 6 * dense) {
        pen.moveTo(at, y + height);
        pen.lineTo(at + height, y);
    }
    pen.stroke();
    pen.restore();
}
