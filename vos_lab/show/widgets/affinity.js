// The affinity in the browser, as memory/reading.py has it: one query cell over all of memory, or one memory cell over all queries.
//
// keys: {c, n, m, memory (n*c), query (m*c), memoryNorm (n), queryNorm (m): |k|^2 and |q|^2, shrinkage (n), selection (m*c)}
// settings: {kind, temperature, top_k (null: all), norm_term, on: memory cell -> is it read at all}

function withNorms(keys) {
    const norms = (rows, count) => Float32Array.from({ length: count }, (_, i) => dot(rows, i * keys.c, rows, i * keys.c, keys.c));
    return { ...keys, memoryNorm: norms(keys.memory, keys.n), queryNorm: norms(keys.query, keys.m) };
}

// sum of a[i + x] * b[j + x] over c channels; four sums side by side, which is three times as fast as one
function dot(a, i, b, j, c) {
    let s0 = 0, s1 = 0, s2 = 0, s3 = 0, x = 0;
    for (; x + 3 < c; x += 4) {
        s0 += a[i + x] * b[j + x];
        s1 += a[i + x + 1] * b[j + x + 1];
        s2 += a[i + x + 2] * b[j + x + 2];
        s3 += a[i + x + 3] * b[j + x + 3];
    }
    for (; x < c; x++) s0 += a[i + x] * b[j + x];
    return s0 + s1 + s2 + s3;
}

// how well memory cell i matches query cell j; higher is better
function similarity(keys, settings, i, j) {
    const { c, memory, query } = keys, a = i * c, b = j * c;
    if (settings.kind === "anisotropic") {
        let distance = 0; // each channel weighs as much as the query cell selects it
        for (let x = 0; x < c; x++) distance += keys.selection[b + x] * (memory[a + x] - query[b + x]) ** 2;
        return (-keys.shrinkage[i] * distance) / Math.sqrt(c);
    }
    const product = dot(memory, a, query, b, c);
    if (settings.kind === "dot") return product / Math.sqrt(c);
    if (settings.kind === "cosine") return product / Math.max(Math.sqrt(keys.memoryNorm[i] * keys.queryNorm[j]), 1e-12);
    return (2 * product - (settings.norm_term ? keys.memoryNorm[i] : 0)) / Math.sqrt(c); // -|k - q|^2 without |q|^2
}

// what the softmax is taken of, for query cell j: (n)
function scoresOf(keys, settings, j, scores = new Float32Array(keys.n)) {
    for (let i = 0; i < keys.n; i++) {
        scores[i] = settings.on[i] ? similarity(keys, settings, i, j) / settings.temperature : -Infinity;
    }
    return scores;
}

// what turns a query cell's scores into weights: its best, its k-th best (floor), the last cell that has that score and still
// counts, and the sum of the exponentials
function summary(scores, topK) {
    const n = scores.length, k = topK === null ? n : Math.min(topK, n);
    const floor = k < n ? kthLargest(scores.slice(), k) : -Infinity;
    let best = -Infinity, above = 0;
    for (let i = 0; i < n; i++) {
        if (scores[i] > best) best = scores[i];
        if (scores[i] > floor) above++;
    }
    let last = n, equal = k - above; // of cells with the very same score, the first are taken
    if (k < n) for (last = 0; equal > 0; last++) if (scores[last] === floor) equal--;
    let total = 0;
    for (let i = 0; i < n; i++) if (counts(scores[i], i, floor, last)) total += Math.exp(scores[i] - best);
    return { best, floor, last, total };
}

const counts = (score, i, floor, last) => score > floor || (score === floor && score > -Infinity && i < last);

const weight = (score, i, { best, floor, last, total }) =>
    counts(score, i, floor, last) ? Math.exp(score - best) / total : 0;

// the k-th largest of these numbers, which are put in another order (Hoare's selection)
function kthLargest(x, k) {
    let low = 0, high = x.length - 1;
    const place = k - 1;
    while (low < high) {
        const pivot = x[(low + high) >> 1];
        let i = low, j = high;
        while (i <= j) {
            while (x[i] > pivot) i++;
            while (x[j] < pivot) j--;
            if (i <= j) {
                [x[i], x[j]] = [x[j], x[i]];
                i++;
                j--;
            }
        }
        if (place <= j) high = j;
        else if (place >= i) low = i;
        else break;
    }
    return x[place];
}

// where query cell j looks: weights (n) that sum to 1, or to 0 where all of memory is switched off
function affinityOf(keys, settings, j) {
    const scores = scoresOf(keys, settings, j), found = summary(scores, settings.top_k);
    return scores.map((score, i) => weight(score, i, found));
}

// Who looks at a memory cell? That needs the softmax of every query cell, which takes seconds for all of them: so they are gone
// through once, in slices of a few milliseconds, and kept until the settings change. Where a memory cell is asked about before
// the end, those come first that are most like it.
class Readers {
    constructor(keys, settings) {
        Object.assign(this, { keys, settings, summaries: new Array(keys.m), count: 0, scores: new Float32Array(keys.n) });
        Object.assign(this, { asked: null, waiting: Array.from({ length: keys.m }, (_, j) => j) });
    }
    get known() {
        return this.count / this.keys.m;
    }
    // i: the memory cell that is asked about; null: none is, yet
    advance(milliseconds, i = null) {
        const stop = performance.now() + milliseconds;
        if (i !== null && i !== this.asked && this.known < 1) this.waiting = this.likely(i).filter((j) => !this.summaries[j]).reverse();
        this.asked = i;
        while (this.waiting.length && performance.now() < stop) {
            const j = this.waiting.pop();
            scoresOf(this.keys, this.settings, j, this.scores);
            this.summaries[j] = summary(this.scores, this.settings.top_k);
            this.count++;
        }
    }
    // all query cells, those first whose keys lie next to that of memory cell i
    likely(i) {
        const { c, m, memory, query, queryNorm } = this.keys;
        const far = Float32Array.from({ length: m }, (_, j) => queryNorm[j] - 2 * dot(memory, i * c, query, j * c, c));
        return Array.from({ length: m }, (_, j) => j).sort((one, other) => far[one] - far[other]);
    }
    // how much each query cell (m) reads memory cell i; nan where that is not known yet
    of(i) {
        const weights = new Float32Array(this.keys.m).fill(this.settings.on[i] ? NaN : 0);
        if (!this.settings.on[i]) return weights;
        this.summaries.forEach((found, j) => {
            const score = Math.fround(similarity(this.keys, this.settings, i, j) / this.settings.temperature);
            weights[j] = weight(score, i, found);
        });
        return weights;
    }
}
