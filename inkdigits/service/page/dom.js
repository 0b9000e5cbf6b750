// Helpers for elements, words and pixels.

export const $ = (id) => document.getElementById(id);

// Formats a share, at most as 99.9%: nothing is certain.
export function percent(share) {
  return share >= 0.9995 ? "99.9%" : `${(100 * share).toFixed(1)}%`;
}

// Makes an element with this text.
export function make(tag, text = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

// Gives an element so many children. Those that are there stay, and with them the focus and running
// transitions.
export function children(parent, count, create) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(create(parent.children.length));
  return [...parent.children];
}

// Decodes base64.
export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0));
}

// Makes an image. `colourOf` returns the red, green and blue of the pixel with this number.
export function imageOf(width, height, colourOf) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) image.data.set([...colourOf(i), 255], 4 * i);
  return image;
}

// Makes a sentence of words.
export function sentence(words) {
  const end = /[.!?]$/.test(words) ? "" : ".";
  return words.charAt(0).toUpperCase() + words.slice(1) + end;
}
