// A reading as a table: its lines are rows, and numbers that stand below each other a column.
// Mirrors reading/tables.py.

import { symbols, tables } from "./constants.js";
import { argmin, argsort, mean, median } from "./arrays.js";
import { around, confidenceOf, inParts, linesOf } from "./symbols.js";

const { BESIDE, RECENT, OFTEN, SPLIT } = tables;

const middleOf = ({ box }) => (box[0] + box[2]) / 2;

// Returns rows of equally many cells {written, confidence, box}, null where nothing was read.
// digits: in reading order, also those that were not accepted. signs: of lines with accepted ones.
export function tableOf({ digits, signs }) {
  const accepted = digits.filter((digit) => digit.accepted);
  const lines = linesOf(accepted, signs);
  const rows = lines.map(numbersOf);
  const nearest = BESIDE * usualDistance(rows);
  const columns = whole(columnsOf(rows, nearest));
  return lines.map(([{ line }], place) => {
    const cells = columns.map((column) => column.get(place) ?? null);
    for (const digit of digits) {
      if (digit.line === line && !digit.accepted) doubt(cells, digit, columns, nearest);
    }
    return cells;
  });
}

// Returns the numbers of a line, which spaces part.
function numbersOf(line) {
  const parts = inParts(line, 0);
  return parts.filter((part) => part.some((one) => "digit" in one)).map(cellOf);
}

function cellOf(part) {
  const written = part.map(({ digit, sign }) => `${digit ?? sign}`).join("");
  const confidence = confidenceOf(part.filter((one) => "digit" in one));
  return { written, confidence, box: around(part.map(({ box }) => box)) };
}

// Returns the median distance from a number to the next one in its row; infinite without any.
function usualDistance(rows) {
  const apart = rows.flatMap((row) =>
    row.slice(1).map((cell, i) => middleOf(cell) - middleOf(row[i])),
  );
  return apart.length ? median(apart) : Infinity;
}

// Groups the numbers of all rows by columns, from left to right: cells by their rows, from above.
function columnsOf(rows, nearest) {
  const columns = [];
  rows.forEach((row, place) => {
    const rest = added(place, row, columns, nearest);
    columns.push(...rest.map((cell) => new Map([[place, cell]])));
  });
  const middles = columns.map((column) => mean([...column.values()].map(middleOf)));
  return argsort(middles).map((i) => columns[i]);
}

// Adds the numbers of a row to the columns they stand below; returns those that are below none. A
// column takes one of them at the most, the nearest first.
function added(place, row, columns, nearest) {
  const pairs = row.flatMap((cell) =>
    columns.map((column) => ({ cell, column, away: distance(cell, column) })),
  );
  const placed = new Set();
  for (const { cell, column, away } of pairs.sort((one, other) => one.away - other.away)) {
    if (away >= nearest || placed.has(cell) || column.has(place)) continue;
    column.set(place, cell);
    placed.add(cell);
  }
  return row.filter((cell) => !placed.has(cell));
}

// Returns how far a number is from the last ones of a column, pixels across.
function distance(cell, column) {
  return Math.abs(middleOf(cell) - mean([...column.values()].slice(-RECENT).map(middleOf)));
}

// Returns columns, from left to right, without those that are parts of their neighbours. Where a
// sign is lost, or its gap is wide, the rest of a number stands in a column of its own.
function whole(columns) {
  const found = [];
  for (const column of columns) {
    const before = found.at(-1);
    if (before && (isPart(column, before) || isPart(before, column))) {
      found[found.length - 1] = joined(before, column);
    } else found.push(column);
  }
  return found;
}

// Tells whether a few numbers stand where those of a column stand, above and below them.
function isPart(part, column) {
  if (column.size < OFTEN * part.size) return false;
  return [...part].every(([place, cell]) => isWithin(cell, place, column));
}

// Tells whether the middle of a number is within those of a column in the nearest rows.
function isWithin(cell, place, column) {
  const rows = [...column.keys()].filter((row) => row !== place).sort((one, other) => one - other);
  const nearest = argsort(rows.map((row) => Math.abs(row - place))).slice(0, 2 * RECENT);
  const boxes = nearest.map((i) => column.get(rows[i]).box);
  const middle = middleOf(cell);
  return (
    Math.min(...boxes.map((box) => box[0])) <= middle &&
    middle <= Math.max(...boxes.map((box) => box[2]))
  );
}

// Returns one column of two, with a space in a number that has parts in both.
function joined(left, right) {
  const places = [...new Set([...left.keys(), ...right.keys()])].sort((one, other) => one - other);
  const one = (place) => {
    const parts = [left, right].map((column) => column.get(place)).filter(Boolean);
    if (parts.length === 1) return parts[0];
    return {
      written: parts.map(({ written }) => written).join(" "),
      confidence: SPLIT * Math.min(...parts.map(({ confidence }) => confidence)),
      box: around(parts.map(({ box }) => box)),
    };
  };
  return new Map(places.map((place) => [place, one(place)]));
}

// Makes the cell of a row in which a refused candidate stands no surer than that it is no digit. It
// is a part of the number beside it, or stands alone in the place of a column.
function doubt(row, refused, columns, nearest) {
  const { box } = refused;
  const here = { written: "", confidence: 1 - refused.confidence, box };
  const gaps = row.map((cell) => (cell ? gap(cell, here) : Infinity));
  let place = argmin(gaps);
  if (gaps[place] > symbols.SPACE * (box[3] - box[1])) {
    const aside = columns.map((column) =>
      Math.abs(middleOf(beside(here, column)) - middleOf(here)),
    );
    place = argmin(aside);
    if (aside[place] >= nearest || row[place]?.written) return;
  }

  const there = row[place] ?? here;
  const confidence = Math.min(there.confidence, here.confidence);
  row[place] = { ...there, confidence, box: around([there.box, box]) };
}

// Returns the pixels across between two boxes, less than 0 where they overlap.
const gap = ({ box }, other) => Math.max(box[0] - other.box[2], other.box[0] - box[2]);

// Returns the number of a column that is nearest above or below.
function beside(cell, column) {
  const cells = [...column.values()];
  return cells[argmin(cells.map((other) => Math.abs(other.box[1] - cell.box[1])))];
}
