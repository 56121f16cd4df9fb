// TrainingMonitor: Python reads the run's log; here its curves are drawn, and a sign of life is given while the view is open.

const SIGN = 20_000;  // ms from one sign of life to the next

function render({ model, el }) {
    const words = element("p", { class: "words", "aria-live": "polite" }), bar = element("progress", { max: 1, value: 0 });
    const loss = element("div"), score = element("div"), sampleWords = element("figcaption");
    const picture = element("img", { alt: "the newest weights' mask in the last frame of a sample clip" });
    const button = element("button", { class: "sample", onclick: () => model.send({ ask: "sample" }) }, "draw it anew with the newest weights");
    let url = null;
    el.append(element("div", { class: "vos monitor" }, element("p", { class: "about" }, model.get("about")),
        element("div", { class: "row" }, bar, words),
        element("div", { class: "charts" }, loss, score, element("figure", {}, picture, sampleWords, button))));

    function curves() {
        const losses = model.get("losses"), scores = Object.entries(model.get("scores")), steps = model.get("steps");
        const last = losses.length ? losses[losses.length - 1] : null, x = [0, steps || 1];
        const top = Math.max(1e-6, ...losses.map(([, value]) => value));
        loss.replaceChildren(lineChart([{ points: losses }],
            { title: last ? `loss: ${last[1].toPrecision(3)} now` : "loss: nothing yet", unit: "step", x, y: [0, 1.05 * top], width: 310, height: 190 }));
        const newest = scores.map(([name, points]) => `${name.replace("J&F ", "")} ${points[points.length - 1][1].toFixed(2)}`).join(", ");
        const series = scores.map(([, points], i) => ({ points, dots: true, dashed: i > 0 }));
        score.replaceChildren(lineChart(series,
            { title: newest ? `validation J&F: ${newest}` : "validation: nothing yet", unit: "step", x, y: [0, 1], width: 310, height: 190 }));
    }
    function state() {
        words.textContent = model.get("words");
        words.classList.toggle("wrong", model.get("state") === "stalled");
        const losses = model.get("losses");
        bar.value = losses.length ? losses[losses.length - 1][0] / (model.get("steps") || 1) : 0;
    }
    function sample() {
        const { picture: bytes, words: text } = model.get("sample");
        sampleWords.textContent = text;
        if (url) URL.revokeObjectURL(url);
        url = bytes ? URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })) : null;
        picture.style.display = url ? "" : "none";
        if (url) picture.src = url;
    }

    const listeners = [["change:losses", curves], ["change:scores", curves], ["change:steps", curves],
        ["change:losses", state], ["change:words", state], ["change:state", state], ["change:sample", sample]];
    for (const [event, act] of listeners) model.on(event, act);
    curves();
    state();
    sample();
    const sign = () => model.send({ ask: "open" });
    sign();
    const timer = setInterval(sign, SIGN);
    return () => {
        clearInterval(timer);
        for (const [event, act] of listeners) model.off(event, act);
        model.send({ ask: "leave" });
        if (url) URL.revokeObjectURL(url);
    };
}

export default { render };
