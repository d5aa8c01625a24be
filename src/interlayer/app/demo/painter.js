// Strokes are lists [width, x0, y0, x1, y1, ...] in units of the picture's longer side.
const canvas = element.querySelector("canvas");
const brush = element.querySelector("input");
const pen = canvas.getContext("2d");
const longer = () => Math.max(canvas.width, canvas.height);
const ends = () => [canvas.width / longer(), canvas.height / longer()];
const middle = () => ends().map((end) => end / 2);
let cursor = middle();
let strokes = [];
let down = false;

function draw() {
  const side = longer();
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "#e11d48";
  for (const [width, ...points] of strokes) {
    pen.lineWidth = width * side;
    pen.beginPath();
    pen.moveTo(points[0] * side + 0.1, points[1] * side); // a line of no length is not drawn
    for (let i = 0; i < points.length; i += 2) pen.lineTo(points[i] * side, points[i + 1] * side);
    pen.stroke();
  }
  if (document.activeElement === canvas) {
    pen.strokeStyle = "#ffffff";
    pen.lineWidth = 3;
    pen.beginPath();
    pen.arc(cursor[0] * side, cursor[1] * side, (brush.value / 200) * side, 0, 7);
    pen.stroke();
  }
}

function change(next) {
  strokes = next;
  props.value = strokes.map((stroke) => [...stroke]);
  draw();
}

function at(event) {
  const box = canvas.getBoundingClientRect();
  const inside = (value) => Math.min(1, Math.max(0, value));
  const [right, bottom] = ends();
  cursor[0] = right * inside((event.clientX - box.left) / box.width);
  cursor[1] = bottom * inside((event.clientY - box.top) / box.height);
  return cursor;
}

canvas.addEventListener("pointerdown", (event) => {
  down = true;
  canvas.setPointerCapture(event.pointerId);
  strokes.push([brush.value / 100, ...at(event)]);
  draw();
});
canvas.addEventListener("pointermove", (event) => {
  if (!down) return;
  strokes.at(-1).push(...at(event));
  draw();
});
for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => {
    if (down) change(strokes);
    down = false;
  });
}
canvas.addEventListener("keydown", (event) => {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (event.key === " ") {
    change([...strokes, [brush.value / 100, ...cursor]]);
  } else if (moves[event.key]) {
    moves[event.key].forEach((step, i) => {
      cursor[i] = Math.min(ends()[i], Math.max(0, cursor[i] + 0.03 * step));
    });
    draw();
  } else {
    return;
  }
  event.preventDefault();
});
canvas.addEventListener("focus", draw);
canvas.addEventListener("blur", draw);
brush.addEventListener("input", draw);
element.addEventListener("click", ({ target }) => {
  if (target.value === "undo") change(strokes.slice(0, -1));
  if (target.value === "clear") change([]);
});
watch("picture", () => {
  cursor = middle();
});
watch(["picture", "value"], () => {
  strokes = props.value.map((stroke) => [...stroke]);
  draw();
});
