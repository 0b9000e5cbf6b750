// Rows of text as CSV that a spreadsheet takes for numbers and text, never for a formula. Mirrors
// `_csv` and `_harmless` in reading/tables.py.

const FORMULA = /^[=+\-@]/; // a spreadsheet computes what begins so
const NUMBER = /^-?[.,]*\d[\d.,]*$/;
const SPECIAL = /[",\r\n]/;

export function csvOf(rows) {
  return rows.map((row) => `${row.map(quoted).join(",")}\r\n`).join("");
}

function quoted(cell) {
  const harmless = FORMULA.test(cell) && !NUMBER.test(cell) ? `'${cell}` : cell;
  return SPECIAL.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
