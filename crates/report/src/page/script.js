// Readouts only: without this script the page still shows everything.
"use strict";
const data = (element) => JSON.parse(element.querySelector("script[type='application/json']").textContent);

// A range input, unseen but focusable, gives keyboards and screen readers the way along a chart.
function scrubber(parent, label, last, show) {
  const input = document.createElement("input");
  Object.assign(input, { type: "range", className: "scrub", min: 0, max: last, value: last });
  input.setAttribute("aria-label", label);
  const update = () => input.setAttribute("aria-valuetext", show(+input.value));
  input.addEventListener("input", update);
  input.addEventListener("focus", update);
  parent.append(input);
  return input;
}

// The pointer's place in an SVG's own units.
function place(svg, event) {
  const box = svg.getBoundingClientRect(), view = svg.viewBox.baseVal;
  return [(event.clientX - box.left) / box.width * view.width, (event.clientY - box.top) / box.height * view.height];
}

for (const figure of document.querySelectorAll("figure.chart:has(.plot)")) {
  const { places, words } = data(figure);
  if (!places.length) continue;
  const plot = figure.querySelector(".plot"), svg = plot.querySelector("svg");
  const cursor = svg.querySelector(".cursor"), readout = plot.querySelector(".readout"), resting = readout.textContent;
  const show = (i) => {
    const [x, y] = places[i];
    const line = cursor.querySelector("line"), dot = cursor.querySelector("circle");
    line.setAttribute("x1", x); line.setAttribute("x2", x);
    dot.setAttribute("cx", x); dot.setAttribute("cy", y);
    cursor.removeAttribute("hidden");
    return readout.textContent = words[i];
  };
  const rest = () => { cursor.setAttribute("hidden", ""); readout.textContent = resting; };
  const input = scrubber(plot, figure.querySelector("h3").textContent, places.length - 1, show);
  const point = (event) => {
    const [x] = place(svg, event);
    let best = 0;
    places.forEach(([at], i) => { if (Math.abs(at - x) < Math.abs(places[best][0] - x)) best = i; });
    input.value = best;
    show(best);
  };
  plot.addEventListener("pointermove", point);
  plot.addEventListener("pointerdown", point);
  plot.addEventListener("pointerleave", rest);
  input.addEventListener("blur", rest);
}

for (const map of document.querySelectorAll(".map")) {
  const { panels, names, classes, class: classOf, tiles, columns, rows, width, height } = data(map);
  const svgs = [...map.querySelectorAll("svg.points")];
  const buttons = [...map.querySelectorAll(".legend button")];
  let picked = null;

  const tip = document.createElement("div"), thumb = document.createElement("i");
  const text = document.createElement("div"), bold = document.createElement("b"), name = document.createElement("span");
  tip.className = "tip"; tip.hidden = true; tip.setAttribute("aria-hidden", "true");
  text.append(bold, name); tip.append(thumb, text); map.append(tip);

  const light = (c) => {
    map.classList.toggle("lit", c !== null);
    for (const path of map.querySelectorAll(".points path")) path.classList.toggle("on", +path.dataset.class === c);
  };
  for (const button of buttons) {
    const c = +button.dataset.class;
    button.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") light(c); });
    button.addEventListener("pointerleave", () => light(picked));
    button.addEventListener("click", () => {
      picked = picked === c ? null : c;
      for (const other of buttons) other.setAttribute("aria-pressed", String(+other.dataset.class === picked));
      light(picked);
    });
  }

  const hide = () => { tip.hidden = true; for (const svg of svgs) svg.querySelector(".ring").setAttribute("hidden", ""); };
  const show = (i, panel) => {
    svgs.forEach((svg, p) => {
      const ring = svg.querySelector(".ring"), x = panels[p][2 * i], y = panels[p][2 * i + 1];
      ring.toggleAttribute("hidden", x === null);
      ring.setAttribute("cx", x ?? 0); ring.setAttribute("cy", y ?? 0);
    });
    bold.textContent = classes[classOf[i]] || ""; name.textContent = names[i];
    const tile = tiles[i];
    thumb.hidden = tile === null;
    if (tile !== null) {
      const scale = 88 / Math.max(width, height);
      thumb.style.width = width * scale + "px"; thumb.style.height = height * scale + "px";
      thumb.style.backgroundSize = `${columns * 100}% ${rows * 100}%`;
      const column = tile % columns, row = Math.floor(tile / columns);
      thumb.style.backgroundPosition = `${columns > 1 ? 100 * column / (columns - 1) : 0}% ${rows > 1 ? 100 * row / (rows - 1) : 0}%`;
    }
    tip.hidden = false;
    const box = svgs[panel].getBoundingClientRect(), outer = map.getBoundingClientRect(), view = svgs[panel].viewBox.baseVal;
    const x = box.left - outer.left + (panels[panel][2 * i] ?? 0) / view.width * box.width;
    const y = box.top - outer.top + (panels[panel][2 * i + 1] ?? 0) / view.height * box.height;
    const left = Math.min(Math.max(0, x + 16), outer.width - tip.offsetWidth);
    const below = y + 16, above = y - 16 - tip.offsetHeight;
    tip.style.left = left + "px";
    tip.style.top = (outer.top + below + tip.offsetHeight > innerHeight ? above : below) + "px";
    return [bold.textContent, names[i]].filter(Boolean).join(", ");
  };
  svgs.forEach((svg, panel) => {
    const point = (event) => {
      const [x, y] = place(svg, event), at = panels[panel];
      let best = -1, reach = 26 * 26;
      for (let i = 0; 2 * i < at.length; i++) {
        if (at[2 * i] === null || (picked !== null && classOf[i] !== picked)) continue;
        const distance = (at[2 * i] - x) ** 2 + (at[2 * i + 1] - y) ** 2;
        if (distance < reach) { reach = distance; best = i; }
      }
      if (best < 0) hide(); else show(best, panel);
    };
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") hide(); });
  });
  document.addEventListener("pointerdown", (event) => { if (!event.target.closest("svg.points")) hide(); });
  const order = names.map((_, i) => i).sort((a, b) => (classOf[a] ?? 0) - (classOf[b] ?? 0));
  const input = scrubber(map.querySelector(".pair"), "Step through the images of the map", order.length - 1, (k) => show(order[k], svgs.length - 1));
  input.addEventListener("blur", hide);
}

// Paper has nothing to click: open what is folded while printing.
let folded = [];
addEventListener("beforeprint", () => { folded = [...document.querySelectorAll("details:not([open])")]; for (const d of folded) d.open = true; });
addEventListener("afterprint", () => { for (const d of folded) d.open = false; });
