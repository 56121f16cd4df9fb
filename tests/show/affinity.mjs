// Asks the explorer's own module for affinities, without a browser. stdin: {module, state, columns: [query cells], rows: [memory
// cells]}; bytes of the state are {base64}. stdout: {columns: [[weights over memory]], rows: [[weights over query cells]]}
import { readFileSync } from "node:fs";

const { module, state, columns, rows } = JSON.parse(readFileSync(0, "utf8"));
const { keysOf, affinityOf, Readers } = await import(module);
const bytes = ({ base64 }) => new DataView(Uint8Array.from(Buffer.from(base64, "base64")).buffer);
const model = { get: (name) => (state[name]?.base64 !== undefined ? bytes(state[name]) : state[name]) };
const keys = keysOf(model), cells = state.panels[0].rows * state.panels[0].columns;
const on = state.panels.slice(1).flatMap((panel) => Array(panel.origins.length || cells).fill(state.without.includes(panel.name) ? 0 : 1));
const settings = { kind: state.kind, temperature: state.temperature, top_k: state.top_k, norm_term: state.norm_term, on };
// counted before anything is asked, as the widget does it; and while the first of the cells is asked about
const before = new Readers(keys, settings), readers = new Readers(keys, settings);
if (rows.length) while (before.known < 1) before.advance(1);
if (rows.length) while (readers.known < 1) readers.advance(100, rows[0]);
const same = rows.every((cell) => before.of(cell).every((weight, j) => weight === readers.of(cell)[j]));
if (!same) throw new Error("what is counted beforehand is not what is counted when asked");
console.log(JSON.stringify({
    columns: columns.map((cell) => [...affinityOf(keys, settings, cell)]),
    rows: rows.map((cell) => [...readers.of(cell)]),
}));
