// AffinityExplorer. All that can be chosen lies in the model, so that Python and other views see it; each change paints anew.

const SETTINGS = ["kind", "temperature", "top_k", "norm_term", "without", "opacity"];
const CHOSEN = ["cell", "memory_cell", "pinned", ...SETTINGS];
const SLICE = 20; // milliseconds of work at a time; SMALL while the mouse moves, so that it stays smooth
const SMALL = 5;
const MOST_MARKS = 100; // top-k above which the cells that are read are not marked one by one
const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function render({ model, el }) {
    const closing = new AbortController();
    const listen = (node, type, answer) => node.addEventListener(type, answer, { signal: closing.signal });
    const keys = keysOf(model), boards = boardsOf(model), [query, ...memory] = boards;
    const controls = controlsOf(model, listen, choose), page = pageOf(model, boards, controls);
    let readers = null, signature = "", frame = 0, painted = 0, saving = 0, working = 0, dragging = null;

    // --- choose: every wish goes through the model

    function choose(wanted, now = false) {
        for (const [name, value] of Object.entries(wanted)) model.set(name, value);
        clearTimeout(saving); // Python hears of it once the hand rests
        saving = setTimeout(save, now ? 0 : 150);
    }

    function save() {
        saving = 0;
        model.save_changes();
    }

    function chooseCell(board, index, pinned) {
        const [name, row, column] = placeOf(board, index);
        choose({ ...(board === query ? { cell: [row, column], memory_cell: null } : { memory_cell: [name, row, column] }), pinned });
    }

    // the board and the index in it of the cell that is looked at
    function chosen() {
        const wanted = model.get("memory_cell");
        if (!wanted) return [query, indexOf(query, model.get("cell"))];
        const whole = memory.find((board) => board.panel.name === wanted[0]);
        if (whole) return [whole, indexOf(whole, wanted.slice(1))];
        const mosaic = memory[memory.length - 1];
        return [mosaic, mosaic.panel.origins.findIndex((origin) => String(origin) === String(wanted))];
    }

    for (const board of boards) {
        const { canvas } = board;
        listen(canvas, "pointerdown", (event) => {
            const index = indexAt(board, event), [before, cell] = chosen();
            dragging = { board, released: model.get("pinned") && before === board && cell === index };
            canvas.setPointerCapture(event.pointerId);
            chooseCell(board, index, true);
        });
        listen(canvas, "pointermove", (event) => {
            if (dragging ? dragging.board !== board : model.get("pinned")) return;
            const index = indexAt(board, event), [before, cell] = chosen();
            if (before === board && cell === index) return;
            if (dragging) dragging.released = false;
            chooseCell(board, index, dragging !== null);
        });
        const drop = () => {
            if (dragging?.released) choose({ pinned: false }, true);
            dragging = null;
        };
        listen(canvas, "pointerup", drop);
        listen(canvas, "pointercancel", drop);
        listen(canvas, "keydown", (event) => {
            const step = STEPS[event.key], [before, cell] = chosen();
            if (step) {
                const { rows, columns } = board.panel, at = before === board ? cell : (rows >> 1) * columns + (columns >> 1);
                const row = clamp(Math.floor(at / columns) + step[0], 0, rows - 1);
                const column = clamp((at % columns) + step[1], 0, columns - 1);
                chooseCell(board, Math.min(row * columns + column, board.count - 1), model.get("pinned"));
            } else if (event.key === "Enter" || event.key === " ") choose({ pinned: !model.get("pinned") }, true);
            else if (event.key === "Escape") choose({ pinned: false }, true);
            else return;
            event.preventDefault();
            event.stopPropagation();
        });
        if (board.toggle)
            listen(board.toggle, "change", () => {
                const others = model.get("without").filter((name) => name !== board.panel.name);
                choose({ without: board.toggle.checked ? others : [...others, board.panel.name] }, true);
            });
    }

    // --- paint: once per picture of the screen, however many wishes came

    function schedule() {
        if (!frame) frame = requestAnimationFrame(paint);
    }

    function settingsNow() {
        const wanted = Object.fromEntries(["kind", "temperature", "top_k", "norm_term"].map((name) => [name, model.get(name)]));
        const without = model.get("without"), on = new Uint8Array(keys.n);
        for (const board of memory) on.fill(without.includes(board.panel.name) ? 0 : 1, board.start, board.start + board.count);
        if (JSON.stringify([wanted, without]) !== signature) {
            signature = JSON.stringify([wanted, without]);
            readers = new Readers(keys, { ...wanted, on });
        }
        return readers.settings;
    }

    function paint() {
        frame = 0;
        painted = performance.now();
        const settings = settingsNow(), [board, index] = chosen(), asks = board === query, cell = board.start + index;
        if (!asks && cell !== readers.asked) readers.advance(25, cell);
        if (readers.known < 1 && !working) working = setTimeout(goOn, 0);
        const weights = asks ? affinityOf(keys, settings, index) : readers.of(cell); // of the boards that answer
        const answers = asks ? memory : [query], best = argmax(weights), max = weights[best] || 0;
        const strongest = answers.find(({ start, count }) => best >= start && best < start + count);
        const marks = settings.top_k !== null && settings.top_k <= MOST_MARKS;
        const answerOf = ({ start, count }) => ({
            weights: weights.subarray(start, start + count), best: best - start, max, marks,
            own: board.labels[index], opacity: model.get("opacity"),
        });
        for (const other of boards) {
            drawBoard(other, answers.includes(other) ? answerOf(other) : null, other === board ? index : -1);
        }
        page.magnify(board, index, max ? strongest : null, max ? answerOf(strongest) : null);
        page.describe({ asks, board, index, weights, max, strongest, settings, known: asks ? 1 : readers.known });
        controls.show(settings);
    }

    // The other way round needs all query cells. They are gone through bit by bit as soon as the widget is open, so that a memory
    // cell is then answered at once; if one is asked about before, in a hurry, with a new picture every now and then.
    function goOn() {
        const [board, index] = chosen(), waited = board !== query;
        working = 0;
        if (waited) readers.advance(SLICE, board.start + index);
        else readers.advance(performance.now() - painted < 300 ? SMALL : SLICE);
        if (waited && (readers.known === 1 || performance.now() - painted > 250)) schedule();
        else if (readers.known < 1) working = setTimeout(goOn, 0);
    }

    // --- open and close

    const resized = new ResizeObserver(() => {
        for (const board of boards) fit(board);
        schedule();
    });
    Promise.all(boards.map((board) => load(board))).then(() => {
        if (closing.signal.aborted) return;
        for (const name of CHOSEN) model.on(`change:${name}`, schedule); // not before there is something to paint on
        el.replaceChildren(page.root);
        for (const board of boards) resized.observe(board.canvas.parentElement);
        page.root.affinity = (row, column) => affinityOf(keys, settingsNow(), indexOf(query, [row, column]));
    });
    return () => {
        closing.abort();
        resized.disconnect();
        cancelAnimationFrame(frame);
        clearTimeout(working);
        clearTimeout(saving);
        if (saving) save();
        for (const name of CHOSEN) model.off(`change:${name}`, schedule);
    };
}

// --- what Python sent

function keysOf(model) {
    const numbers = (name) =>
        model.get("full_precision") ? typed(Float32Array, model.get(name)) : fromHalf(typed(Uint16Array, model.get(name)));
    const [{ rows, columns }] = model.get("panels"), m = rows * columns, all = numbers("cell_keys");
    const n = model.get("labels").byteLength - m, c = all.length / (m + n);
    const keys = { c, n, m, query: all.subarray(0, m * c), memory: all.subarray(m * c) };
    if (model.get("shrinkage").byteLength) {
        keys.shrinkage = typed(Float32Array, model.get("shrinkage"));
        keys.selection = numbers("selection");
    }
    return withNorms(keys);
}

export default { render };
