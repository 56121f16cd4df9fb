// The curves of TrackPlayer.

// of the first object, the second, and so on, round and round, as in player.py
const DASHES = [[], [6, 3], [2, 2], [8, 2, 2, 2]];

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

// The curves of one track on a canvas; a place on it stands for a frame.
class Timeline {
    constructor(canvas, track, shown) {
        Object.assign(this, {
            canvas,
            track,
            shown,
            pen: canvas.getContext("2d"),
            left: 30,
            right: 12,
            high: 90,
            bottom: 22,
            wide: 0,
        });
        this.top = 8 + 20 * Math.ceil(track.ids.length / 3); // the legend stands above, three objects in a line
    }
    fit(wide) {
        this.wide = wide;
        this.ratio = sharpen(this.canvas, wide, this.top + this.high + this.bottom);
    }
    x(at) {
        return this.left + ((this.wide - this.left - this.right) * at) / Math.max(this.shown.length - 1, 1);
    }
    y(value) {
        return this.top + this.high * (1 - value);
    }
    // the frame that is nearest to the mouse
    nearest(event) {
        const share =
            (event.clientX - this.canvas.getBoundingClientRect().left - this.left) / (this.wide - this.left - this.right);
        return Math.min(Math.max(Math.round(share * (this.shown.length - 1)), 0), this.shown.length - 1);
    }
    draw(at, measure, worst) {
        const { pen, track } = this,
            curves = track[measure];
        pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
        pen.clearRect(0, 0, this.wide, this.top + this.high + this.bottom);
        pen.font = "12px system-ui, sans-serif";
        pen.textBaseline = "middle";
        this.drawAxes(worst);
        pen.fillStyle = "#ffe08a"; // the frame that is shown
        pen.fillRect(this.x(at) - 3, this.top - 4, 6, this.high + 8);
        pen.fillStyle = "#111";
        pen.fillRect(this.x(at) - 0.5, this.top - 4, 1, this.high + 8);
        track.ids.forEach((id, n) => {
            this.line(n, id, this.curve(curves[n]));
            this.drawLegend(n, id, measure, curves[n][at]);
        });
        if (worst !== null) this.drawWorst(worst);
    }
    drawAxes(worst) {
        for (const value of [0, 0.5, 1]) {
            this.pen.fillStyle = "#ddd";
            this.pen.fillRect(this.left, this.y(value), this.wide - this.left - this.right, 1);
            this.text(value, this.left - 6, this.y(value), "right");
        }
        for (const end of [0, this.shown.length - 1]) {
            const taken = worst !== null && Math.abs(this.x(end) - this.x(worst)) < 70; // by the words of the worst frame
            if (!taken) this.text(this.shown[end], this.x(end), this.top + this.high + 15);
        }
    }
    drawWorst(worst) {
        const { pen } = this,
            x = this.x(worst),
            y = this.top + this.high;
        pen.beginPath(); // a triangle that points up at it
        (pen.moveTo(x, y), pen.lineTo(x - 5, y + 8), pen.lineTo(x + 5, y + 8));
        pen.fill();
        this.text(`worst: frame ${this.shown[worst]}`, x, y + 16);
    }
    drawLegend(n, id, measure, value) {
        const x = this.left + ((n % 3) * (this.wide - this.left)) / 3,
            y = 10 + 20 * Math.floor(n / 3),
            sample = new Path2D();
        (sample.moveTo(x, y), sample.lineTo(x + 28, y));
        this.line(n, id, sample);
        this.text(`object ${id}: ${value === null ? "not scored" : `${measure} ${value.toFixed(2)}`}`, x + 34, y, "left");
    }
    curve(values) {
        const path = new Path2D();
        values.forEach((value, at) => {
            if (value === null) return;
            if ((values[at - 1] ?? null) === null) path.moveTo(this.x(at) - 1, this.y(value)); // a lone frame shows as a dot
            path.lineTo(this.x(at), this.y(value));
        });
        return path;
    }
    // in the colour of the object and the dashes of its place in the list, with a dark rim: yellow, too, can be read on white
    line(n, id, path) {
        this.pen.setLineDash(DASHES[n % 4]);
        for (const [colour, thick] of [
            ["#111", 4],
            [colourOf(id), 2.4],
        ]) {
            Object.assign(this.pen, { strokeStyle: colour, lineWidth: thick });
            this.pen.stroke(path);
        }
        this.pen.setLineDash([]);
    }
    // words that stay inside the canvas
    text(words, x, y, align = "center") {
        const half = align === "center" ? this.pen.measureText(words).width / 2 + 2 : 0;
        Object.assign(this.pen, { textAlign: align, fillStyle: "#111" });
        this.pen.fillText(words, Math.min(Math.max(x, half), this.wide - half), y);
    }
}
