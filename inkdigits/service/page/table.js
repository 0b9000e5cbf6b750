// A reading as a table: cells that can be corrected by typing, the doubtful ones lit, and a file to
// download. What was typed stays with its sheet until the page is left.

import { csvOf } from "./csv.js";
import { $, children, make, percent } from "./dom.js";

const SURE = 0.9; // the least confidence of a number that nobody needs to look at

const typedOn = new WeakMap(); // of each sheet, what was typed by "row,column"
let table = []; // rows of {written, confidence, box}, or null where nothing was read
let typed = new Map();
let name = ""; // of the file to download
let look = () => {}; // called with the box of the cell that is looked at

// Tells whether numbers stand in several rows and columns.
export const isTable = (rows) => rows?.length > 1 && rows[0].length > 1;

// Shows a table. sheet: what it was read on. picture: the file that was read, if it was one.
export function showTable(rows, sheet, picture, onLook) {
  if (!typedOn.has(sheet)) typedOn.set(sheet, new Map());
  [table, typed, look] = [rows, typedOn.get(sheet), onLook];
  name = `${picture?.name?.replace(/\.\w+$/, "") || "table"}.csv`;
  const lines = children($("cells"), rows.length, () => make("tr"));
  lines.forEach((line, row) => {
    children(line, rows[row].length, makeCell).forEach((_, column) => showCell(row, column));
  });
  count();
  look(boxAt(...placeOf($("cells").querySelector("input:focus, .doubtful") ?? inputAt(0, 0))));
}

function makeCell() {
  const cell = make("td");
  const input = make("input");
  Object.assign(input, { type: "text", autocomplete: "off", spellcheck: false });
  input.enterKeyHint = "next";
  cell.append(input);
  return cell;
}

const inputAt = (row, column) => $("cells").rows[row]?.cells[column]?.firstChild;

// Returns where an input is: its row and its column.
function placeOf(input) {
  const cell = input.closest("td");
  return [cell.parentNode.rowIndex, cell.cellIndex];
}

const isDoubtful = (row, column) => {
  const cell = table[row][column];
  return cell && (cell.confidence < SURE || !cell.written) && !typed.has(`${row},${column}`);
};

const textAt = (row, column) =>
  typed.get(`${row},${column}`) ?? table[row][column]?.written ?? "";

function showCell(row, column) {
  const input = inputAt(row, column);
  const text = textAt(row, column);
  const doubtful = isDoubtful(row, column);
  if (input.value.trim() !== text) input.value = text;
  const longest = Math.max(2, ...table.map((_, other) => textAt(other, column).length));
  input.style.width = `calc(${longest + 1}ch + 20px)`;
  input.placeholder = doubtful && !text ? "?" : "";
  input.className = doubtful ? "doubtful" : "";
  input.setAttribute("aria-label", described(row, column, doubtful));
}

function described(row, column, doubtful) {
  const where = `Row ${row + 1}, column ${column + 1}`;
  if (!doubtful) return where;
  const { written, confidence } = table[row][column];
  return `${where}, to look at: ${written ? `${percent(confidence)} sure` : "not accepted"}`;
}

function count() {
  const doubts = table.flatMap((cells, row) => cells.map((_, column) => isDoubtful(row, column)));
  const left = doubts.filter(Boolean).length;
  const cells = left === 1 ? "1 cell" : `${left} cells`;
  const said = left ? `${cells} to look at. Press Enter in one that is right.` : "Nothing to look at.";
  if ($("doubts").textContent !== said) $("doubts").textContent = said;
}

// Keeps what an input says; from now on nobody needs to look at it.
function keep(input) {
  const [row, column] = placeOf(input);
  typed.set(`${row},${column}`, input.value.trim());
  table.forEach((_, other) => showCell(other, column)); // all are as wide as the longest
  count();
}

// Returns the box of a cell; of an empty one, as wide as the nearest in its column and as tall as
// the nearest in its row.
function boxAt(row, column) {
  const nearest = (cells, place) => {
    const apart = (i) => (cells[i] ? Math.abs(i - place) : Infinity);
    return cells[cells.map((_, i) => i).sort((one, other) => apart(one) - apart(other))[0]].box;
  };
  const [left, , right] = nearest(
    table.map((cells) => cells[column]),
    row,
  );
  const [, top, , bottom] = nearest(table[row], column);
  return [left, top, right, bottom];
}

$("cells").addEventListener("input", ({ target }) => keep(target));
$("cells").addEventListener("focusin", ({ target }) => look(boxAt(...placeOf(target))));
$("cells").addEventListener("keydown", (event) => {
  const { key, target, isComposing } = event;
  if (!["ArrowUp", "ArrowDown", "Enter"].includes(key) || isComposing) return;
  event.preventDefault();
  if (key === "Enter") keep(target);
  const rows = key === "ArrowUp" ? -1 : 1;
  const next = key === "Enter" ? nextDoubtful(target) : inputBeside(target, rows);
  next?.focus();
});

// Returns the input so many rows below one.
function inputBeside(input, rows) {
  const [row, column] = placeOf(input);
  return inputAt(row + rows, column);
}

// Returns the next cell to look at, from the top again after the last one, or else the cell below.
function nextDoubtful(input) {
  const inputs = [...$("cells").querySelectorAll("input")];
  const at = inputs.indexOf(input);
  const inTurn = [...inputs.slice(at + 1), ...inputs.slice(0, at)];
  return inTurn.find((one) => one.className === "doubtful") ?? inputBeside(input, 1);
}

$("download").addEventListener("click", () => {
  const rows = table.map((cells, row) => cells.map((_, column) => textAt(row, column)));
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([csvOf(rows)], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href));
});
