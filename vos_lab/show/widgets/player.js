// TrackPlayer. `at` counts the frames that were sent; the numbers that people see are those of the clip, in `shown`.

const SPEEDS = { "1/8": 0.125, "1/4": 0.25, "1/2": 0.5, 1: 1, 2: 2 };
const KEPT = 200e6; // bytes of decoded frames that are kept

// Decode frames when they are first asked for, and keep the latest ones.
class Frames {
    constructor(model) {
        this.jpegs = model.get("frames");
        this.masks = model.get("tracks").map((track) => track.masks);
        const [height, width] = model.get("size");
        this.room = Math.max(8, Math.floor(KEPT / (height * width * (4 + this.masks.length))));
        this.ready = new Map();
        this.coming = new Map();
    }
    get(at) {
        if (this.ready.has(at)) return Promise.resolve(this.ready.get(at));
        if (!this.coming.has(at)) this.coming.set(at, this.decode(at));
        return this.coming.get(at);
    }
    async decode(at) {
        const [picture, ...masks] = await Promise.all([bitmap(this.jpegs[at]), ...this.masks.map((of) => unpacked(of[at]))]);
        const frame = { pixels: pixelsOf(picture).data, masks };
        picture.close();
        this.coming.delete(at);
        this.ready.set(at, frame);
        if (this.ready.size > this.room) this.ready.delete(this.ready.keys().next().value); // the one decoded first
        return frame;
    }
}

function render({ model, el }) {
    const [height, width] = model.get("size");
    const tracks = model.get("tracks"),
        shown = model.get("shown"),
        last = shown.length - 1;
    const frames = new Frames(model),
        scored = tracks.some((track) => track.J.length);
    const rate = (model.get("fps") * shown.length) / model.get("length"); // frames that are shown in a second
    let at = 0,
        wanted = 0,
        playing = false,
        since = 0,
        waiting = 0,
        closed = false;

    // ---- controls
    const button = (text, onclick, attributes = {}) => element("button", { type: "button", onclick, ...attributes }, text);
    const play = button("Play (Space)", () => (playing ? pause() : start()), { class: "play" });
    const slider = element("input", {
        type: "range",
        min: 0,
        max: last,
        value: 0,
        class: "slider",
        "aria-label": "frame",
        oninput: () => jump(+slider.value),
    });
    const slowest =
        Object.keys(SPEEDS)
            .reverse()
            .find((name) => shown.length / rate / SPEEDS[name] >= 4) ?? "1/8"; // at least 4 seconds
    const speed = element(
        "select",
        {},
        ...Object.keys(SPEEDS).map((name) => element("option", { selected: name === slowest }, name)),
    );
    const measures = Object.entries({ J: "region", F: "contour" }).map(([name, of]) => button(`${name}: ${of}`, () => measure(name), { "data-name": name, "aria-pressed": String(name === "J") }));
    const opacity = element("input", { type: "range", min: 0, max: 100, value: 60, oninput: draw });
    const outline = element("input", { type: "checkbox", onchange: draw });
    const words = element("div", { class: "words", role: "status", "aria-live": "polite" }, "Loading ...");
    const screens = tracks.map((track) => {
        const about = `The clip with ${track.name}. Space plays, arrow keys step.`;
        const canvas = element("canvas", { class: "frame", tabindex: 0, role: "img", "aria-label": about });
        const chart = element("canvas", { class: "chart", tabindex: 0, role: "img", "aria-label": `Scores of ${track.name}` });
        const line = new Timeline(chart, track, shown);
        let held = false;
        chart.addEventListener("pointerdown", (event) => {
            held = true;
            chart.setPointerCapture(event.pointerId);
            jump(line.nearest(event));
        });
        chart.addEventListener("pointermove", (event) => held && jump(line.nearest(event)));
        for (const end of ["pointerup", "pointercancel"]) chart.addEventListener(end, () => (held = false));
        const box = element("div", {}, element("div", { class: "name" }, track.name), canvas, track.J.length ? chart : "");
        return {
            track,
            canvas,
            line,
            box,
            paint: new OffscreenCanvas(width, height).getContext("2d"),
            out: new ImageData(width, height),
        };
    });
    const back = button("◀", () => jump(wanted - 1), { "aria-label": "one frame back" });
    const on = button("▶", () => jump(wanted + 1), { "aria-label": "one frame on" });
    const toWorst = button("worst frame (W)", () => jump(worst(current) ?? 0));
    const toDifference = button("largest difference (D)", () => jump(difference() ?? 0));
    const time = element("div", { class: "row" }, play, back, on, slider, element("label", {}, "speed", speed));
    const keys = [
        ["Space", "play, pause"],
        ["← →", "one frame"],
        ["Home  End", "first, last"],
    ];
    if (scored) keys.push(["J  F", "region or contour"]);
    const help = "J: how much of the region agrees with the true mask; F: how much of its contour; 1 is perfect. First and last frame are not scored.";
    const root = element(
        "div",
        { class: "vos player", "data-lm-suppress-shortcuts": true, onkeydown: key },
        element("p", { class: "about" }, model.get("about")),
        model.get("note") ? element("p", { class: "about", role: "note" }, model.get("note")) : "",
        element("div", { class: "screens" }, ...screens.map((screen) => screen.box)),
        time,
        element(
            "div",
            { class: "row" },
            ...(scored ? ["curves show", ...measures, toWorst] : []),
            scored && tracks.length > 1 ? toDifference : "",
            element("label", {}, "opacity", opacity),
            element("label", {}, outline, "outlines only (O)"),
        ),
        words,
        element(
            "div",
            { class: "row quiet" },
            ...keys.map(([name, text]) => element("span", {}, element("kbd", {}, name), ` ${text}`)),
        ),
        scored ? element("div", { class: "quiet" }, help) : "",
    );
    el.append(root);

    // ---- what is shown
    let current = "J";
    const lowestMean = (curves) => lowest(shown.length, (n) => meanAt(curves, n));
    function worst(name) {
        // of all tracks
        const means = (n) => tracks.map((track) => meanAt(track[name], n)).filter((mean) => mean !== null);
        return lowest(shown.length, (n) => (means(n).length ? Math.min(...means(n)) : null));
    }
    function difference() {
        const means = (n) => tracks.map((track) => meanAt(track[current], n));
        return lowest(shown.length, (n) => (means(n).includes(null) ? null : -Math.abs(means(n)[0] - means(n)[1])));
    }
    async function show(next) {
        wanted = next;
        await frames.get(next);
        if (closed || wanted !== next) return; // somebody has gone on
        at = next;
        draw();
        for (const soon of [next + 1, next + 2]) frames.get(soon % shown.length);
    }
    function draw() {
        const frame = frames.ready.get(at);
        if (!frame) return;
        screens.forEach(({ track, canvas, paint, line, out }, n) => {
            if (!canvas.width) return;
            overlay(out.data, frame.pixels, frame.masks[n], width, height, outline.checked ? 0 : opacity.value / 100);
            paint.putImageData(out, 0, 0);
            canvas.getContext("2d").drawImage(paint.canvas, 0, 0, canvas.width, canvas.height);
            if (track.J.length) line.draw(at, current, lowestMean(track[current]));
        });
        slider.value = at;
        slider.setAttribute("aria-valuetext", `frame ${shown[at]}`);
        words.textContent = describe();
    }
    // one track: each object's scores; two: their means, and which is at its worst
    function describe() {
        const value = (x) => (x === null ? "not scored" : x.toFixed(2));
        const parts = tracks
            .filter((track) => track.J.length)
            .map((track) => {
                const objects = track.ids.map((id, n) => `object ${id} J ${value(track.J[n][at])}, F ${value(track.F[n][at])}`);
                const means = `mean J ${value(meanAt(track.J, at))}, F ${value(meanAt(track.F, at))}`;
                const text = tracks.length > 1 ? `${track.name}: ${means}` : objects.join("; ");
                return text + (lowestMean(track[current]) === at ? ` (its worst ${current})` : "");
            });
        const known = tracks.some((track) => meanAt(track.J, at) !== null);
        return [
            `Frame ${shown[at]} of 0 to ${model.get("length") - 1}`,
            ...(known ? parts : scored ? ["not scored"] : []),
        ].join(" · ");
    }

    // ---- what is done
    function start() {
        playing = true;
        since = performance.now();
        words.setAttribute("aria-live", "off"); // nobody can listen so fast
        play.textContent = "Pause (Space)";
        waiting = requestAnimationFrame(tick);
    }
    function pause() {
        playing = false;
        cancelAnimationFrame(waiting);
        words.setAttribute("aria-live", "polite");
        play.textContent = "Play (Space)";
        tell();
    }
    function tick(now) {
        if (!playing) return;
        waiting = requestAnimationFrame(tick);
        const pause = 1000 / (rate * SPEEDS[speed.value]);
        if (now - since < pause || wanted !== at) return; // not yet, or the next one is still being decoded
        since = Math.max(since + pause, now - pause);
        show(at === last ? 0 : at + 1);
    }
    function jump(next) {
        if (playing) pause();
        show(Math.min(Math.max(next, 0), last)).then(tell);
    }
    function tell() {
        if (closed || model.get("frame") === shown[at]) return;
        model.set("frame", shown[at]);
        model.save_changes();
    }
    function told() {
        const next = lowest(shown.length, (n) => Math.abs(shown[n] - model.get("frame")));
        if (next !== wanted) show(next);
    }
    function measure(name) {
        current = name;
        measures.forEach((node) => node.setAttribute("aria-pressed", String(node.dataset.name === name)));
        draw();
    }
    function key(event) {
        if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
        const pressed = event.key.toLowerCase(),
            onControl = ["BUTTON", "INPUT"].includes(event.target.tagName);
        const act = {
            arrowleft: () => jump(wanted - 1),
            arrowright: () => jump(wanted + 1),
            home: () => jump(0),
            end: () => jump(last),
            o: () => outline.click(),
            ...(onControl ? {} : { " ": () => play.click() }), // on a control, Space is its own
            ...(scored ? { w: () => toWorst.click(), j: () => measure("J"), f: () => measure("F") } : {}),
            ...(scored && tracks.length > 1 ? { d: () => toDifference.click() } : {}),
        }[pressed];
        if (!act || event.target === opacity) return;
        event.preventDefault();
        event.stopPropagation();
        act();
    }

    // ---- size, beginning and end
    const observer = new ResizeObserver(() => {
        const room =
            (Math.min(root.clientWidth - 16, tracks.length > 1 ? 1400 : 720) - 12 * (tracks.length - 1)) / tracks.length;
        const wide = Math.floor(Math.min(room, (520 * width) / height));
        if (wide <= 0 || screens[0].canvas.style.width === `${wide}px`) return;
        for (const { canvas, line } of screens) {
            sharpen(canvas, wide, (wide * height) / width);
            line.fit(wide);
        }
        time.style.maxWidth = `${wide * tracks.length + 12 * (tracks.length - 1)}px`;
        draw();
    });
    observer.observe(root);
    model.on("change:frame", told);
    show(lowest(shown.length, (n) => Math.abs(shown[n] - model.get("frame")))).catch((error) => {
        words.textContent = `The clip cannot be shown in this browser (${error.message}).`;
    });
    return () => {
        closed = true;
        playing = false;
        cancelAnimationFrame(waiting);
        observer.disconnect();
        model.off("change:frame", told);
    };
}

export default { render };
