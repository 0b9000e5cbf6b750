// A live figure: move the threshold along the risk-coverage curve, and see what is refused. Its data
// is threshold.json, written by benchmarks/reading/live_figures.py.

import { live, make, onDrag, percent, slider } from "./common.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, RIGHT, BELOW] = [340, 220, 44, 20, 40]; // of the plot, its own units
const FIRST = 0.9; // the threshold before anybody moves it
const here = (name) => new URL(name, import.meta.url).href;

const plot = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
const marker = svg("circle", { r: 6, class: "marker" });
const upright = svg("path", { class: "marker-line" });
const told = make("p", { role: "status" });
const tiles = make("div", { className: "tiles", role: "list" });
const choice = make("select");
let data = null;
let [model, place] = [null, 0]; // whose curve, and which of its points
const along = slider("threshold", { min: 0, max: 1, value: 0 }, (value) => choose(value));

live("threshold", load, (loaded) => {
  data = loaded;
  choice.append(...data.models.map(({ name }) => make("option", { value: name, textContent: name })));
  choice.addEventListener("change", () => {
    const { confidence } = model.points[place];
    use(choice.value);
    choose(firstPoint((point) => point.confidence <= confidence));
  });
  tiles.append(...data.examples.map(tile));
  onDrag(plot, ([x]) => {
    const coverage = (x * WIDTH - LEFT) / (WIDTH - LEFT - RIGHT);
    choose(firstPoint((point) => point.accepted / data.things >= coverage));
  });
  use(data.models[0].name);
  choose(firstPoint((point) => point.confidence <= FIRST));
  const label = make("label", {}, make("span", { textContent: "model" }), choice);
  const left = make("div", { className: "controls" }, plot, along.element, label);
  return [make("div", { className: "row" }, left, make("div", {}, told, tiles))];
});

async function load() {
  const answer = await fetch(here("threshold.json"));
  if (!answer.ok) throw new Error(`threshold.json did not arrive: ${answer.status}`);
  return answer.json();
}

// Draws the curves, that of the model in use on top.
function use(name) {
  model = data.models.find((each) => each.name === name);
  along.input.max = model.points.length - 1;
  const others = data.models.filter((each) => each !== model);
  const curves = [...others, model].map((each) =>
    svg("path", { d: path(each.points), class: each === model ? "curve" : "curve other" }),
  );
  plot.replaceChildren(...axes(), ...curves, upright, marker);
}

// Returns the number of the first point of the curve that is so, or else of the last.
function firstPoint(isSo) {
  const found = model.points.findIndex(isSo);
  return found < 0 ? model.points.length - 1 : found;
}

// Takes a point of the curve as the threshold.
function choose(number) {
  place = number;
  const { confidence, accepted, wrong } = model.points[place];
  const [x, y] = at(model.points[place]);
  for (const [key, value] of Object.entries({ cx: x, cy: y })) marker.setAttribute(key, value);
  upright.setAttribute("d", `M${x} 8V${HEIGHT - BELOW}`);
  along.input.value = place;
  along.input.ariaValueText = `${percent(confidence)} sure or more`;

  const share = accepted / data.things;
  told.textContent =
    `Accepted from ${percent(confidence)} on: ${accepted.toLocaleString("en")} of ` +
    `${data.things.toLocaleString("en")} (${percent(share)}), of which ${wrong} are wrong ` +
    `(${percent(wrong / accepted)}). Below, ${refusedBelow(confidence)} of ` +
    `${data.examples.length} examples are refused.`;
  plot.ariaLabel = `Risk-coverage curve of ${model.name}: ${told.textContent}`;
}

// Marks what is refused among the examples; returns how many are.
function refusedBelow(confidence) {
  let refused = 0;
  data.examples.forEach(({ is, answers }, number) => {
    const { said, sure } = answers[model.name];
    const state = sure < confidence ? "refused" : said === is ? "right" : "wrong";
    refused += state === "refused";
    const element = tiles.children[number];
    element.className = state;
    element.lastChild.textContent = { refused: "–", right: said, wrong: `${said} ✗` }[state];
    element.ariaLabel = `${is ?? "no digit"}: ${state === "refused" ? "refused" : `read as ${said}`}`;
  });
  return refused;
}

function tile(_, number) {
  const picture = make("span", { className: "picture" });
  picture.style.backgroundImage = `url(${here("threshold-examples.png")})`;
  picture.style.backgroundPosition = `${-28 * number}px 0`;
  return make("div", { role: "listitem" }, picture, make("b"));
}

// Returns where a point of a curve is in the plot: coverage to the right, risk upwards.
function at({ accepted, wrong }) {
  const across = LEFT + (accepted / data.things) * (WIDTH - LEFT - RIGHT);
  return [across, (HEIGHT - BELOW) - (wrong / accepted / data.highest) * (HEIGHT - BELOW - 8)];
}

const path = (points) => `M${points.map((point) => at(point).map((x) => x.toFixed(1))).join("L")}`;

function axes() {
  const bottom = HEIGHT - BELOW;
  const text = (x, y, words, anchor) =>
    svg("text", { x, y, "text-anchor": anchor }, words);
  return [
    svg("path", { class: "axis", d: `M${LEFT} 8V${bottom}H${WIDTH - RIGHT}` }),
    ...[0, 0.5, 1].map((share) =>
      text(LEFT + share * (WIDTH - LEFT - RIGHT), bottom + 15, `${100 * share} %`, "middle"),
    ),
    text(LEFT - 5, bottom, "0", "end"),
    text(LEFT - 5, 16, `${100 * data.highest} %`, "end"),
    text(LEFT + 8, 16, "wrong, of the accepted", "start"),
    text(LEFT + (WIDTH - LEFT - RIGHT) / 2, bottom + 32, "accepted, of all", "middle"),
  ];
}

function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
