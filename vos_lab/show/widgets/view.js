// A view of an image that can be zoomed and moved, and what is drawn over it.

// Which part of the image is seen: its corner (left, top) in pixels of the image, and how large one of them is on the canvas.
class View {
    constructor(canvas, width, height) {
        Object.assign(this, { canvas, width, height, zoom: 1, left: 0, top: 0 });
    }
    get scale() {
        return (this.zoom * this.canvas.width) / this.width;
    }
    move(left, top) {
        this.left = Math.min(Math.max(left, 0), this.width * (1 - 1 / this.zoom));
        this.top = Math.min(Math.max(top, 0), this.height * (1 - 1 / this.zoom));
    }
    // zoom, and keep the place [x, y] of the image where it is on the screen
    zoomTo(zoom, [x, y]) {
        const before = this.zoom;
        this.zoom = Math.min(Math.max(zoom, 1), 32);
        this.move(x - ((x - this.left) * before) / this.zoom, y - ((y - this.top) * before) / this.zoom);
    }
    // the place under a mouse, in pixels of the image with their fractions
    at(event) {
        const box = this.canvas.getBoundingClientRect();
        const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
        return [this.left + (share[0] * this.width) / this.zoom, this.top + (share[1] * this.height) / this.zoom];
    }
    draw(picture) {
        const pen = this.canvas.getContext("2d"),
            part = [this.left, this.top, this.width / this.zoom, this.height / this.zoom];
        pen.imageSmoothingEnabled = false; // a pixel stays a pixel
        pen.drawImage(picture, ...part, 0, 0, this.canvas.width, this.canvas.height);
    }
    // move just so far that a pixel is seen
    show([x, y]) {
        const wide = this.width / this.zoom,
            high = this.height / this.zoom;
        this.move(Math.min(this.left, x), Math.min(this.top, y));
        this.move(Math.max(this.left, x + 1 - wide), Math.max(this.top, y + 1 - high));
    }
}

// Void pixels black and white in turn: they are no object, but they are not background either.
function hatchVoid(out, ids, width, [left, top, right, bottom]) {
    for (let y = top; y < bottom; y++) {
        for (let x = left; x < right; x++) {
            const i = y * width + x;
            if (ids[i] === 255) out.fill((x + y) % 4 < 2 ? 0 : 255, 4 * i, 4 * i + 3);
        }
    }
}

// White lines with black borders, readable on any ground. trace draws the path.
function twoTone(context, trace, ratio) {
    for (const [colour, thick] of [
        ["black", 3],
        ["white", 1.2],
    ]) {
        context.strokeStyle = colour;
        context.lineWidth = thick * ratio;
        context.beginPath();
        trace();
        context.stroke();
    }
}

// The borders between ids as lines between pixels, for a view so near that a rim would hide what is painted.
function borders(context, painting, view, ratio) {
    const { ids, width, height } = painting,
        s = view.scale;
    const right = Math.min(width, Math.ceil(view.left + view.canvas.width / s)),
        bottom = Math.min(height, Math.ceil(view.top + view.canvas.height / s));
    twoTone(
        context,
        () => {
            for (let y = Math.floor(view.top); y < bottom; y++) {
                for (let x = Math.floor(view.left); x < right; x++) {
                    const i = y * width + x,
                        [px, py] = [(x - view.left) * s, (y - view.top) * s];
                    if (x > 0 && ids[i] !== ids[i - 1]) (context.moveTo(px, py), context.lineTo(px, py + s));
                    if (y > 0 && ids[i] !== ids[i - width]) (context.moveTo(px, py), context.lineTo(px + s, py));
                }
            }
        },
        ratio,
    );
}
