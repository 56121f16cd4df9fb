// Masks in the browser, for widgets that paint or play them. Beside draw.py and base.packed.

// masks travel packed by zlib: exact also in browsers that blur what a page reads back from a canvas
const through = (bytes, stream) => new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer();
const packed = async (ids) => new DataView(await through(ids, new CompressionStream("deflate")));
const unpacked = async (view) => new Uint8Array(await through(view, new DecompressionStream("deflate")));

// the pixels of a picture, RGBA
function pixelsOf(picture) {
    const canvas = new OffscreenCanvas(picture.width, picture.height),
        context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    return context.getImageData(0, 0, picture.width, picture.height);
}

// each id's colour as [r, g, b]; 0 and 255 are not objects
const TINTS = Array.from({ length: 256 }, (_, id) =>
    [1, 3, 5].map((at) => parseInt(colourOf(Math.max(id, 1)).slice(at, at + 2), 16)),
);

// draw.overlay on RGBA pixels: objects tinted over grey, with a white rim one pixel wide (unless rim is false); void and
// background stay as they are. Only the pixels of box [left, top, right, bottom] are written
function overlay(out, frame, ids, width, height, opacity, rim = true, box = [0, 0, width, height]) {
    const [left, top, right, bottom] = box;
    const differs = (i, x, y) =>
        // from a neighbour; beyond the border there is none
        (x > 0 && ids[i - 1] !== ids[i]) ||
        (x < width - 1 && ids[i + 1] !== ids[i]) ||
        (y > 0 && ids[i - width] !== ids[i]) ||
        (y < height - 1 && ids[i + width] !== ids[i]);
    for (let y = top; y < bottom; y++) {
        const row = y * width;
        out.set(frame.subarray(4 * (row + left), 4 * (row + right)), 4 * (row + left));
        for (let x = left; x < right; x++) {
            const i = row + x,
                p = 4 * i,
                id = ids[i];
            if (id === 0 || id === 255) continue;
            if (rim && differs(i, x, y)) {
                out[p] = out[p + 1] = out[p + 2] = 255;
            } else if (opacity) {
                const grey = ((1 - opacity) * (frame[p] + frame[p + 1] + frame[p + 2])) / 3,
                    tint = TINTS[id];
                out[p] = Math.floor(grey + opacity * tint[0]);
                out[p + 1] = Math.floor(grey + opacity * tint[1]);
                out[p + 2] = Math.floor(grey + opacity * tint[2]);
            }
        }
    }
}

// fit a canvas to `width` CSS pixels and the screen's sharpness; how many canvas pixels a CSS pixel has
function sharpen(canvas, width, height) {
    const ratio = window.devicePixelRatio || 1;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    return ratio;
}
