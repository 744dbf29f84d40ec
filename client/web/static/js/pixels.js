// Pictures as arrays of grey values, and the colours of heat.

const LONGEST_SIDE = 3072; // keeps a large film within a phone's memory

// matplotlib's plasma at sixteen steps: the colours of the overlay that the model itself draws.
const PLASMA = [
  0x0d0887, 0x330597, 0x5002a2, 0x6a00a8, 0x8405a7, 0x9c179e, 0xb12a90, 0xc33d80,
  0xd35171, 0xe16462, 0xed7953, 0xf68f44, 0xfca636, 0xfec029, 0xf9dc24, 0xf0f921,
].map((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]);

function plasma(heat) {
  const place = heat * (PLASMA.length - 1);
  const low = Math.min(Math.floor(place), PLASMA.length - 2);
  return PLASMA[low].map((from, i) => from + (place - low) * (PLASMA[low + 1][i] - from));
}

/** A picture's grey values: {width, height, grey: Uint8ClampedArray}. Throws where undecodable. */
export async function decode(blob) {
  const bitmap = await createImageBitmap(blob);
  const shrink = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(1, Math.round(bitmap.width * shrink));
  const height = Math.max(1, Math.round(bitmap.height * shrink));
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const grey = new Uint8ClampedArray(width * height);
  for (let i = 0; i < grey.length; i++) {
    grey[i] = 0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2];
  }
  return { width, height, grey };
}

/** Draws grey values through a window: `level` is mid-grey, `width` the range from black to white. */
export function drawFilm(canvas, picture, { level, width, inverted }) {
  const shades = new Uint32Array(256);
  for (let value = 0; value < 256; value++) {
    const share = Math.min(1, Math.max(0, (value - level) / width + 0.5));
    const shade = Math.round(255 * (inverted ? 1 - share : share));
    shades[value] = (255 << 24) | (shade << 16) | (shade << 8) | shade;
  }
  canvas.width = picture.width;
  canvas.height = picture.height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(picture.width, picture.height);
  const pixels = new Uint32Array(image.data.buffer);
  picture.grey.forEach((value, i) => (pixels[i] = shades[value]));
  context.putImageData(image, 0, 0);
}

/** Draws heat in its colours, the more opaque the hotter: no heat leaves the film as it is. */
export function drawHeat(canvas, heat) {
  canvas.width = heat.width;
  canvas.height = heat.height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(heat.width, heat.height);
  heat.grey.forEach((value, i) => image.data.set([...plasma(value / 255), value], 4 * i));
  context.putImageData(image, 0, 0);
}

/** Draws the outline of a mask, where it rises through a half, finely enough to be enlarged. */
export function drawOutline(canvas, mask) {
  const side = 1024;
  canvas.width = canvas.height = side;
  const small = new OffscreenCanvas(1, 1);
  drawFilm(small, mask, { level: 127.5, width: 255, inverted: false });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, side, side);
  const image = context.getImageData(0, 0, side, side);
  const inside = (x, y) => image.data[4 * (y * side + x)] > 127;
  const edges = new Path2D();
  for (let y = 1; y < side; y++) {
    for (let x = 1; x < side; x++) {
      const here = inside(x, y);
      if (here !== inside(x - 1, y) || here !== inside(x, y - 1)) edges.rect(x - 1.5, y - 1.5, 3, 3);
    }
  }
  context.clearRect(0, 0, side, side);
  context.fillStyle = "#5cc8ff";
  context.fill(edges);
}

/** A CSS gradient of the heat's colours over black, hottest first. */
export function colourBar() {
  const stops = PLASMA.map((colour, i) => {
    const share = i / (PLASMA.length - 1);
    return `rgb(${colour.map((part) => Math.round(part * share)).join(" ")})`;
  });
  return `linear-gradient(${stops.reverse().join(", ")})`;
}

/** Draws a picture into a small square, whole. */
export function drawThumbnail(canvas, picture) {
  const full = new OffscreenCanvas(1, 1);
  drawFilm(full, picture, { level: 127.5, width: 255, inverted: false });
  const side = 104;
  canvas.width = canvas.height = side;
  const scale = side / Math.min(picture.width, picture.height);
  const [width, height] = [picture.width * scale, picture.height * scale];
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(full, (side - width) / 2, (side - height) / 2, width, height);
}
