// Shared by all widgets: stands before each one's own code in the same module. Plain browser code, nothing is loaded.

// Okabe and Ito's palette: object 1 orange, object 2 sky blue, ... as in draw.py
const OKABE_ITO = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"];
const colourOf = (id) => OKABE_ITO[(id - 1) % OKABE_ITO.length];

// element("div", {class: "row"}, child, "text"): a new element with attributes and children
function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
        else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children);
    return node;
}

// bytes that Python sent (a DataView) as a typed array; a copy, since a DataView may begin at an odd byte
function typed(Kind, view) {
    return new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

// a picture (JPEG or PNG bytes) as an ImageBitmap that a canvas can draw; colours as they were sent
function bitmap(view, type = "image/jpeg") {
    const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    return createImageBitmap(new Blob([bytes], { type }), { colorSpaceConversion: "none" });
}

// float16 bits -> number: a table of all 65,536
let halves = null;
function fromHalf(bits) {
    if (!halves) {
        halves = new Float32Array(65536);
        for (let i = 0; i < 65536; i++) {
            const exponent = (i >> 10) & 31, fraction = i & 1023, sign = i >> 15 ? -1 : 1;
            if (exponent === 0) halves[i] = sign * fraction * 2 ** -24;
            else if (exponent === 31) halves[i] = fraction ? NaN : sign * Infinity;
            else halves[i] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
        }
    }
    return Float32Array.from(bits, (x) => halves[x]);
}

// cividis at 0..1 as [r, g, b]: ten of its points, joined linearly
const CIVIDIS = [
    [0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115],
    [138, 134, 120], [165, 156, 116], [195, 179, 105], [225, 204, 85], [254, 232, 56],
];
function cividis(x) {
    const place = Math.min(Math.max(x, 0), 1) * (CIVIDIS.length - 1), i = Math.min(Math.floor(place), CIVIDIS.length - 2);
    return CIVIDIS[i].map((low, c) => low + (place - i) * (CIVIDIS[i + 1][c] - low));
}

// how the similarities are called, and what they go by
const SIMILARITIES = { l2: "l2: distance", dot: "dot: product", cosine: "cosine: angle", anisotropic: "anisotropic: weighed distance" };

const percent = (x) => `${Math.round(100 * x)} %`;
