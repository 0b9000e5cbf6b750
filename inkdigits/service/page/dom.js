// What both the sheet and the look inside need: elements, words and pixels.

export const $ = (id) => document.getElementById(id);

export const percent = (share) => (share >= 0.9995 ? "99.9%" : `${(100 * share).toFixed(1)}%`); // nothing is certain

export function make(tag, text = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}

// So many children of one kind: those that are there stay, so that the focus and running transitions do, too.
export function children(parent, count, create) {
  while (parent.children.length > count) parent.lastElementChild.remove();
  while (parent.children.length < count) parent.append(create(parent.children.length));
  return [...parent.children];
}

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0));
}

// colourOf: the red, green and blue of the pixel with this number.
export function imageOf(width, height, colourOf) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) image.data.set([...colourOf(i), 255], 4 * i);
  return image;
}
