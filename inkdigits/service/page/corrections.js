// Corrections, if the service stores them: which digit it really is.

import { $, children, make } from "./dom.js";
import { answer, showDigits } from "./answer.js";

// Offers to correct the digit that is looked at. reader: one with `correct`.
export function offerCorrection({ label, said = "Wrong? It is a" }, reader) {
  $("wrong").textContent = said;
  const buttons = children($("labels"), 10, (number) => {
    const button = make("button", number);
    button.type = "button";
    button.addEventListener("click", () => correct(number, reader));
    return button;
  });
  buttons.forEach((button, number) => button.setAttribute("aria-pressed", number === label));
}

async function correct(label, reader) {
  const { picture, digits, place } = answer;
  const digit = digits[place];
  const { content, message } = await reader.correct(picture, label, digit.sentBox);
  if (content) digit.label = label;
  digit.said = content ? "Thank you. It is a" : `Not stored: ${message}`;
  if (answer?.digits === digits) showDigits();
  $("spoken").textContent = content ? `Thank you. It is stored as a ${label}.` : digit.said;
}
