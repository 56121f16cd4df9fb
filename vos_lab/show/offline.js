// Stands in for Jupyter in an exported page: starts each widget in its place, with a model that has no kernel behind it.

const { texts, models: saved } = JSON.parse(document.getElementById("widgets").textContent);

// arrays and objects are the same if their contents are; bytes only if they are the same bytes in memory
function same(a, b) {
    if (Object.is(a, b)) return true;
    return !(a instanceof DataView || b instanceof DataView) && JSON.stringify(a) === JSON.stringify(b);
}

// What anywidget hands to a front end: traits to read, set and listen to. Nobody but the page hears of a change.
class Model {
    constructor({ state, buffers }) {
        this.state = state;
        this.listeners = [];
        for (const { path, data } of buffers) {
            const key = path.at(-1);
            const holder = path.slice(0, -1).reduce((inside, step) => inside?.[step], state);
            // a saved notebook may still hold bytes of a list that has become shorter since
            if (!holder || (Array.isArray(holder) && holder[key] !== null)) continue;
            const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
            holder[key] = new DataView(bytes.buffer);
        }
    }
    get(name) {
        return this.state[name];
    }
    set(name, value) {
        const wanted = typeof name === "object" ? name : { [name]: value };
        const changed = Object.keys(wanted).filter((key) => !same(this.state[key], wanted[key]));
        Object.assign(this.state, wanted);
        for (const key of changed) this.tell(`change:${key}`, wanted[key]);
        if (changed.length) this.tell("change");
    }
    tell(event, ...values) {
        for (const listener of [...this.listeners]) if (listener.event === event) listener.callback(this, ...values);
    }
    on(events, callback) {
        for (const event of events.split(/\s+/)) this.listeners.push({ event, callback });
    }
    off(events, callback) {
        const gone = ({ event, callback: heard }) =>
            (!events || events.split(/\s+/).includes(event)) && (!callback || callback === heard);
        this.listeners = this.listeners.filter((listener) => !gone(listener));
    }
    save_changes() {}
    send() {}
}

const once = new Map(); // what was made for a number or an id is made only once
function onceFor(key, make) {
    if (!once.has(key)) once.set(key, make());
    return once.get(key);
}

async function load(number) {
    const address = URL.createObjectURL(new Blob([texts[number]], { type: "text/javascript" }));
    const module = await import(address);
    URL.revokeObjectURL(address);
    return module;
}

function dress(number) {
    const style = document.createElement("style");
    style.textContent = texts[number];
    document.head.append(style);
    return style;
}

// the front end of one model, as its module's default export gives it: an object, or a function that makes one
async function start(model, script, extras) {
    const module = await onceFor(`script ${script}`, () => load(script));
    const { default: made = module } = module;
    const widget = typeof made === "function" ? await made() : made;
    await widget.initialize?.({ model, ...extras });
    return widget;
}

async function show(place) {
    const { script, style, ...rest } = saved[place.dataset.widget];
    const extras = {
        signal: new AbortController().signal, // never aborted: the page closes as a whole
        experimental: { invoke: () => Promise.reject(new Error("This page has no kernel.")) },
    };
    if (style !== null) onceFor(`style ${style}`, () => dress(style));
    const model = onceFor(`model ${place.dataset.widget}`, () => new Model(rest));
    const widget = await onceFor(`widget ${place.dataset.widget}`, () => start(model, script, extras));
    await widget.render?.({ model, el: place, ...extras });
}

for (const place of document.querySelectorAll("[data-widget]")) {
    if (!Object.hasOwn(saved, place.dataset.widget)) continue;
    show(place).catch((error) => {
        console.error(error);
        place.append(`This widget could not be started in this browser: ${error.message}`);
    });
}
