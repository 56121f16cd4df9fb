// Masks in the browser, for widgets that paint or play them. Beside draw.py and base.packed.

// masks travel packed by zlib: exact also in browsers that blur what a page reads back from a canvas
const through = (bytes, stream) => new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer();
const packed = async (ids) => new DataView(await through(ids, new CompressionStream("deflate")));
const unpacked = async (view) => new Uint8Array(await through(view, new DecompressionStream("deflate")));

// the pixels of a picture, RGBA
function pixelsOf(picture) {
    const canvas = new OffscreenCanvas(picture.width, picture.height), context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    return context.getImageData(0, 0, picture.width, picture.height);
}

// each id's colour as [r, g, b]; 0 and 255 are not objects
const TINTS = Array.from({ length: 256 }, (_, id) => [1, 3, 5].map((at) => parseInt(colourOf(Math.max(id, 1)).slice(at, at + 2), 16)));

// draw.overlay on RGBA pixels: objects tinted over grey, with a white rim one pixel wide (unless rim is false); void and
// background stay as they are. Only the pixels of box [left, top, right, bottom] are written
function overlay(out, frame, ids, width, height, opacity, rim = true, box = [0, 0, width, height]) {
    for (let y = box[1]; y < box[3]; y++) {
        for (let x = box[0]; x < box[2]; x++) {
            const i = y * width + x, id = ids[i], p = 4 * i;
            if (id === 0 || id === 255) {
                for (let c = 0; c < 3; c++) out[p + c] = frame[p + c];
            } else if (
                rim && ((x > 0 && ids[i - 1] !== id) || (x < width - 1 && ids[i + 1] !== id) ||
                (y > 0 && ids[i - width] !== id) || (y < height - 1 && ids[i + width] !== id))
            ) {
                out[p] = out[p + 1] = out[p + 2] = 255;
            } else {
                const grey = (frame[p] + frame[p + 1] + frame[p + 2]) / 3;
                for (let c = 0; c < 3; c++) {
                    out[p + c] = opacity ? Math.floor((1 - opacity) * grey + opacity * TINTS[id][c]) : frame[p + c];
                }
            }
            out[p + 3] = 255;
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
