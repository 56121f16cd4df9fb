// The curves of TrackPlayer.

const DASHES = [[], [6, 3], [2, 2], [8, 2, 2, 2]]; // of objects 1, 2, 3, 4, round and round, as in player.py

// mean over objects at one frame; null where none is scored
function meanAt(curves, at) {
    const known = curves.map((curve) => curve[at]).filter((value) => value !== null);
    return known.length ? known.reduce((a, b) => a + b) / known.length : null;
}

// the place where `value(at)` is smallest, of those that have one
function lowest(count, value) {
    let best = null;
    for (let at = 0; at < count; at++) {
        const here = value(at);
        if (here !== null && (best === null || here < value(best))) best = at;
    }
    return best;
}

// The curves of one track on a canvas: a place to click on. Returns { draw, at }.
function timeline(canvas, track, shown) {
    const [left, right, bottom] = [30, 12, 20];
    const lines = Math.ceil(track.ids.length / 3); // of the legend
    const top = 8 + 20 * lines, high = 90;
    let wide = 0, ratio = 1;
    const x = (at) => left + ((wide - left - right) * at) / Math.max(shown.length - 1, 1);
    const y = (value) => top + high * (1 - value);
    function fit(width) {
        wide = width;
        ratio = sharpen(canvas, width, top + high + bottom);
    }
    function stroke(pen, id, path) { // a line in its object's colour and dashes, with a dark rim
        for (const [colour, thick] of [["#111", 4], [colourOf(id), 2.4]]) {
            Object.assign(pen, { strokeStyle: colour, lineWidth: thick });
            pen.setLineDash(DASHES[(id - 1) % 4]);
            pen.stroke(path);
        }
        pen.setLineDash([]);
    }
    function curve(values) {
        const path = new Path2D();
        let before = null;
        values.forEach((value, at) => {
            if (value !== null && before === null) path.moveTo(x(at) - 0.5, y(value)); // so that a lone frame shows as a dot
            if (value !== null) path.lineTo(x(at), y(value));
            before = value;
        });
        return path;
    }
    function draw(at, measure, worst) {
        const pen = canvas.getContext("2d"), curves = track[measure];
        pen.setTransform(ratio, 0, 0, ratio, 0, 0);
        pen.clearRect(0, 0, wide, top + high + bottom);
        pen.font = "12px system-ui, sans-serif";
        pen.textBaseline = "middle";
        pen.lineWidth = 1;
        for (const value of [0, 0.5, 1]) {
            pen.fillStyle = "#444";
            pen.textAlign = "right";
            pen.fillText(value, left - 6, y(value));
            pen.fillStyle = "#ddd";
            pen.fillRect(left, y(value), wide - left - right, 1);
        }
        pen.fillStyle = "#ffe08a"; // the frame that is shown
        pen.fillRect(x(at) - 3, top - 4, 6, high + 8);
        pen.fillStyle = "#111";
        pen.fillRect(x(at) - 0.5, top - 4, 1, high + 8);
        curves.forEach((values, n) => stroke(pen, track.ids[n], curve(values)));
        const label = (text, where, line) => {
            const half = pen.measureText(text).width / 2 + 2;
            pen.textAlign = "center";
            pen.fillText(text, Math.min(Math.max(where, left + half), wide - half), line);
        };
        pen.fillStyle = "#111";
        for (const end of [0, shown.length - 1]) { // frame numbers, unless the worst frame's stands there
            if (worst === null || Math.abs(x(end) - x(worst)) > 70) label(shown[end], x(end), top + high + 15);
        }
        if (worst !== null) { // a triangle below the curves
            pen.beginPath();
            pen.moveTo(x(worst), top + high - 1), pen.lineTo(x(worst) - 5, top + high + 8), pen.lineTo(x(worst) + 5, top + high + 8);
            pen.fill();
            label(`worst: frame ${shown[worst]}`, x(worst), top + high + 15);
        }
        track.ids.forEach((id, n) => { // the legend, with the values of the frame that is shown
            const [column, line] = [left + ((n % 3) * (wide - left)) / 3, 10 + 20 * Math.floor(n / 3)], sample = new Path2D();
            sample.moveTo(column, line), sample.lineTo(column + 28, line);
            stroke(pen, id, sample);
            pen.textAlign = "left";
            pen.fillStyle = "#111";
            const value = curves[n][at];
            pen.fillText(`object ${id}: ${value === null ? "not scored" : `${measure} ${value.toFixed(2)}`}`, column + 34, line);
        });
    }
    const nearest = (event) => {
        const share = (event.clientX - canvas.getBoundingClientRect().left - left) / (wide - left - right);
        return Math.min(Math.max(Math.round(share * (shown.length - 1)), 0), shown.length - 1);
    };
    return { fit, draw, nearest };
}
