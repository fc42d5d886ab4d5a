// Names beside points: each stands on the side where it covers least of what is drawn.

const LETTER = 7; // pixels of a letter, and the height of a line of text
const LINE = 14;
const GAP = 14; // from the middle of a point
const SIDES = [[1, -1], [1, 1], [-1, -1], [-1, 1], [1, 0], [-1, 0], [0, -1], [0, 1]];

/** The box of a text on one side of a point. */
function boxAt({ x, y }, [right, down], text) {
  const width = text.length * LETTER;
  const left = right > 0 ? x + (down ? GAP * 0.8 : GAP) : right < 0 ? x - width - (down ? GAP * 0.8 : GAP) : x - width / 2;
  const top = y - LINE / 2 + down * (right ? GAP * 0.8 : GAP + 4);
  return { left, top, right: left + width, bottom: top + LINE };
}

const overlap = (a, b) => Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left)) * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));

/** How many pixels of a line lie within a box. */
function crossed(box, { x1, y1, x2, y2 }) {
  const steps = Math.ceil(Math.hypot(x2 - x1, y2 - y1) / 3);
  let inside = 0;
  for (let i = 0; i <= steps; i++) {
    const [x, y] = [x1 + ((x2 - x1) * i) / steps, y1 + ((y2 - y1) * i) / steps];
    if (x > box.left && x < box.right && y > box.top && y < box.bottom) inside += 3;
  }
  return inside;
}

/**
 * Places for texts at points: `points` are {x, y, text}, `lines` {x1, y1, x2, y2}. Each answer is the left end and the
 * base line of a text. Nothing leaves `width` and `height`.
 */
export function besidePoints(points, lines, width, height) {
  const taken = points.map(({ x, y }) => ({ left: x - 10, right: x + 10, top: y - 10, bottom: y + 10 }));
  return points.map((point) => {
    const cost = (box) => {
      const outside = Math.max(0, -box.left, box.right - width, -box.top, box.bottom - height);
      return 1000 * outside + taken.reduce((sum, other) => sum + 2 * overlap(box, other), 0) + lines.reduce((sum, line) => sum + 4 * crossed(box, line), 0);
    };
    const boxes = SIDES.map((side) => boxAt(point, side, point.text));
    const costs = boxes.map(cost);
    const best = boxes[costs.indexOf(Math.min(...costs))];
    taken.push(best);
    return { x: best.left, y: best.bottom - 3 };
  });
}
