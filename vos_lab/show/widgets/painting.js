// What MaskPainter does to a mask, without a page around it. A mask is a Uint8Array of ids, row by row; places in it are whole
// pixels [x, y].

// Mark every pixel whose middle lies within half a brush's width of the line between the middles of two pixels.
function line(width, height, [ax, ay], [bx, by], size, mark) {
    const reach = size / 2,
        dx = bx - ax,
        dy = by - ay,
        length = dx * dx + dy * dy;
    const left = Math.max(0, Math.floor(Math.min(ax, bx) - reach)),
        right = Math.min(width - 1, Math.ceil(Math.max(ax, bx) + reach));
    const top = Math.max(0, Math.floor(Math.min(ay, by) - reach)),
        bottom = Math.min(height - 1, Math.ceil(Math.max(ay, by) + reach));
    for (let y = top; y <= bottom; y++) {
        for (let x = left; x <= right; x++) {
            const along = length ? Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / length, 0), 1) : 0;
            if ((x - ax - along * dx) ** 2 + (y - ay - along * dy) ** 2 <= reach * reach) mark(x, y);
        }
    }
}

// Mark the pixels whose middle lies inside the polygon (even-odd), and those on its outline.
function polygon(width, height, corners, mark) {
    const next = (i) => corners[(i + 1) % corners.length];
    for (let y = 0; y < height; y++) {
        const crossings = [];
        corners.forEach(([ax, ay], i) => {
            const [bx, by] = next(i);
            if (ay <= y !== by <= y) crossings.push(ax + ((y - ay) * (bx - ax)) / (by - ay));
        });
        crossings.sort((a, b) => a - b);
        for (let i = 0; i < crossings.length; i += 2) {
            const end = Math.min(Math.floor(crossings[i + 1]), width - 1);
            for (let x = Math.max(Math.ceil(crossings[i]), 0); x <= end; x++) mark(x, y);
        }
    }
    corners.forEach((corner, i) => line(width, height, corner, next(i), 1, mark));
}

// A mask and what was done to it. A step is the pixels that it changed: their places, their ids before and after.
class Painting {
    constructor(width, height) {
        Object.assign(this, { width, height, ids: new Uint8Array(width * height), done: [], undone: [], stroke: new Map() });
        this.touchAll();
    }
    touchAll() {
        this.box = [0, 0, this.width, this.height]; // left, top, right, bottom of what must be drawn anew
    }
    set(x, y, id) {
        const place = y * this.width + x;
        if (this.ids[place] === id) return;
        if (!this.stroke.has(place)) this.stroke.set(place, this.ids[place]);
        this.ids[place] = id;
        const b = this.box,
            [left, top] = [Math.max(x - 1, 0), Math.max(y - 1, 0)]; // a rim reaches one pixel further
        const [right, bottom] = [Math.min(x + 2, this.width), Math.min(y + 2, this.height)];
        this.box = b
            ? [Math.min(b[0], left), Math.min(b[1], top), Math.max(b[2], right), Math.max(b[3], bottom)]
            : [left, top, right, bottom];
    }
    // the end of a stroke: it becomes a step that can be undone. How many pixels it changed
    end() {
        const places = Uint32Array.from(this.stroke.keys()),
            before = Uint8Array.from(this.stroke.values());
        this.stroke.clear();
        if (places.length) {
            this.done.push({ places, before, after: Uint8Array.from(places, (place) => this.ids[place]) });
            this.undone = [];
        }
        return places.length;
    }
    undo() {
        return this.step(this.done, this.undone, "before");
    }
    redo() {
        return this.step(this.undone, this.done, "after");
    }
    step(from, to, which) {
        const step = from.pop();
        if (!step) return false;
        step.places.forEach((place, n) => (this.ids[place] = step[which][n]));
        to.push(step);
        this.touchAll();
        return true;
    }
    open(ids) {
        ids.forEach((id, place) => this.set(place % this.width, Math.floor(place / this.width), id));
        return this.end();
    }
    counts() {
        const counts = new Uint32Array(256);
        for (const id of this.ids) counts[id]++;
        return counts;
    }
}
