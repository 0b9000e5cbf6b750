// What NumPy and Python do with numbers and lists, and JavaScript does otherwise or not at all.

// Rounds to the nearest whole number, halves to the even one.
export function rint(x) {
  const rounded = Math.round(x);
  return rounded - x === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

export const clip = (x, low, high) => Math.min(Math.max(x, low), high);
export const sum = (values) => values.reduce((total, value) => total + value, 0);
export const mean = (values) => sum(values) / values.length;
export const range = (length) => Array.from({ length }, (_, i) => i);

// Returns the median of numbers, one at the least.
export function median(values) {
  const ordered = Float64Array.from(values).sort();
  const last = ordered.length - 1;
  return (ordered[Math.floor(last / 2)] + ordered[Math.ceil(last / 2)]) / 2;
}

// Returns the indices that sort numbers; equal ones keep their order.
export function argsort(values) {
  return range(values.length).sort((one, other) => values[one] - values[other]);
}

// Returns the index of the first of the largest values.
export function argmax(values) {
  return values.reduce((best, value, i) => (value > values[best] ? i : best), 0);
}

// Returns the index of the first of the smallest values.
export function argmin(values) {
  return values.reduce((best, value, i) => (value < values[best] ? i : best), 0);
}

// Makes (rows, columns) of numbers, row after row, all 0.
export function grid(rows, columns, kind = Float32Array) {
  return { rows, columns, data: new kind(rows * columns) };
}
