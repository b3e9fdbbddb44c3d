"use strict";
(() => {
const DATA = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
function html(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
function figures(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e5 ? value.toFixed(clamp(2 - Math.floor(Math.log10(size)), 0, 7)) : value.toExponential(2);
}
function niceTicks(low, high, count) {
  if (!(high > low)) return [low];
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const ticks = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) ticks.push(+value.toPrecision(12));
  return ticks;
}
// A value of a curve known at rising steps, linearly between them.
function at(steps, values, step) {
  let low = 0, high = steps.length - 1;
  while (high - low > 1) { const middle = (low + high) >> 1; if (steps[middle] <= step) low = middle; else high = middle; }
  const width = steps[high] - steps[low], share = width > 0 ? clamp((step - steps[low]) / width, 0, 1) : 0;
  return values[low] === null || values[high] === null ? null : values[low] + share * (values[high] - values[low]);
}

arrivals();
if (!DATA.films.length) return;

const video = $("film"), scrubber = $("scrubber");
let film = null, frame = 0, wanted = null, updates = [];

// ---- the clock: the one video, counted in frames --------------------------------------------------------------

function shown(number) {
  frame = clamp(number, 0, film.frames - 1);
  scrubber.value = frame;
  scrubber.setAttribute("aria-valuetext", `step ${stepNow(0)} of ${film.last}, frame ${frame + 1} of ${film.frames}`);
  $("clock").textContent = `${time(frame / film.fps)} / ${time(film.frames / film.fps)}`;
  document.documentElement.dataset.frame = frame;
  for (const update of updates) update();
}
const time = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const position = (channel) => film.channels[channel].positions[frame];
const stepNow = (channel) => Math.round(position(channel));

// Seeks go to the middle of a frame's time, where no rounding reaches its neighbours; one at a time.
function seek(number) {
  number = clamp(Math.round(number), 0, film.frames - 1);
  shown(number);
  if (video.readyState === 0 || (video.seeking && wanted !== null)) { wanted = number; return; }
  wanted = number;
  video.currentTime = (number + 0.5) / film.fps;
}
video.addEventListener("seeked", () => {
  const at_frame = Math.floor(video.currentTime * film.fps + 1e-3);
  if (wanted !== null && wanted !== at_frame) { video.currentTime = (wanted + 0.5) / film.fps; return; }
  wanted = null;
});
video.addEventListener("loadedmetadata", () => { if (wanted !== null) video.currentTime = (wanted + 0.5) / film.fps; });
if ("requestVideoFrameCallback" in video) {
  const told = (now, frame_data) => {
    if (wanted === null && !video.seeking) shown(Math.round(frame_data.mediaTime * film.fps));
    video.requestVideoFrameCallback(told);
  };
  video.requestVideoFrameCallback(told);
} else {
  const look = () => {
    if (wanted === null && !video.paused) shown(Math.floor(video.currentTime * film.fps + 1e-3));
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
}
function playing() {
  const on = !video.paused;
  $("play").classList.toggle("playing", on);
  $("play").setAttribute("aria-label", on ? "Pause" : "Play");
}
const toggle = () => { if (video.paused) video.play().catch(() => {}); else video.pause(); };
video.loop = true;
video.addEventListener("play", playing);
video.addEventListener("pause", () => {
  playing();
  // The screen may be a frame past the last one told: seek, so that film, clock and playhead name the same frame.
  if (wanted === null && !video.seeking) seek(Math.floor(video.currentTime * film.fps + 1e-3));
});
video.addEventListener("click", toggle);
video.addEventListener("error", () => {
  $("film-missing").textContent = `The film could not be opened: ${film.file}`;
  $("film-missing").hidden = false;
  video.hidden = true;
});
$("play").addEventListener("click", toggle);
$("full").addEventListener("click", () => video.requestFullscreen?.());
scrubber.addEventListener("input", () => { video.pause(); seek(+scrubber.value); });

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return;
  const on = event.target.closest("button, select, a, summary, input:not(#scrubber)");
  if (event.key === " " && !on) { event.preventDefault(); toggle(); return; }
  if (event.target.closest("select")) return;
  const far = event.shiftKey ? Math.round(film.fps) : 1;
  const goal = { ArrowLeft: frame - far, ArrowRight: frame + far, Home: 0, End: film.turn }[event.key];
  if (goal === undefined) return;
  event.preventDefault();
  video.pause();
  seek(goal);
});

// The frame of a channel's step: of the half (towards the arrival, or back) that the film is in, and of equals the nearest.
function frameAt(channel, step) {
  const positions = film.channels[channel].positions, back = frame > film.turn;
  let best = 0, cost = Infinity;
  for (let number = back ? film.turn : 0; number < (back ? film.frames : film.turn + 1); number++) {
    const off = Math.abs(positions[number] - step) + 1e-9 * Math.abs(number - frame);
    if (off < cost) { cost = off; best = number; }
  }
  return best;
}
function draggable(box, step_at, only = null) {
  let held = null;
  const nearest = (step) => {
    if (only !== null) return only;
    const off = film.channels.map((channel, index) => Math.abs(position(index) - step));
    return off.indexOf(Math.min(...off));
  };
  const move = (event) => seek(frameAt(held, step_at(event.clientX)));
  box.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    video.pause();
    held = nearest(step_at(event.clientX));
    box.setPointerCapture(event.pointerId);
    move(event);
  });
  box.addEventListener("pointermove", (event) => { if (held !== null) move(event); });
  for (const end of ["pointerup", "pointercancel"]) box.addEventListener(end, () => { held = null; });
}

// ---- the charts -------------------------------------------------------------------------------------------------

const MARGIN = { left: 46, right: 14 };
function across(box, last = film.last) {
  const width = Math.max(240, box.clientWidth), inner = width - MARGIN.left - MARGIN.right;
  return {
    width, inner,
    x: (step) => MARGIN.left + inner * step / Math.max(1, last),
    step: (client) => clamp((client - box.getBoundingClientRect().left - MARGIN.left) / inner, 0, 1) * last,
  };
}
let scales = new Map();
for (const [id, only] of [["losses", null]]) draggable($(id), (client) => scales.get(id).step(client), only);

// Where a trajectory set out for another destination.
function departure(x, y1, y2) {
  return svg("line", { class: "departure", x1: x, x2: x, y1, y2 });
}

function losses() {
  const box = $("losses"), scale = across(box), height = clamp(scale.width * 0.32, 190, 320), top = 10, bottom = height - 26;
  scales.set("losses", scale);
  const picture = svg("svg", { viewBox: `0 0 ${scale.width} ${height}`, height, "aria-hidden": "true" });
  film.channels.forEach((channel, index) => {
    const values = channel.curve.loss.filter((value) => value !== null);
    channel.y = () => null;
    if (!values.length) return;
    channel.range = [Math.min(...values), Math.max(...values)];
  });
  const ranges = film.channels.filter((channel) => channel.range);
  // Losses of different kinds have no common scale: then each curve fills the height by itself, and the axis stays empty.
  const same = film.same_loss;
  const low = Math.min(...ranges.map((c) => c.range[0])), high = Math.max(...ranges.map((c) => c.range[1]));
  const log = same && low > 0 && high > 4 * low;
  const place = (value, from, to) => {
    const share = log ? Math.log(value / from) / Math.log(to / from) : (value - from) / (to - from);
    return bottom - (bottom - top) * (to > from ? clamp(share, 0, 1) : 0.5);
  };
  if (same && ranges.length) {
    const round = log ? [1, 2, 5].flatMap((n) => [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4].map((p) => n * 10 ** p)).filter((v) => v >= low && v <= high) : [];
    const ticks = round.length > 2 ? round : niceTicks(low, high, 6);
    for (const value of ticks) {
      const y = place(value, low, high);
      picture.append(svg("line", { class: "rule", x1: MARGIN.left, x2: scale.width - MARGIN.right, y1: y, y2: y }),
        svg("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, String(+value.toPrecision(3))));
    }
  }
  for (const step of niceTicks(0, film.last, scale.width < 500 ? 4 : 8))
    picture.append(svg("text", { x: scale.x(step), y: height - 6, "text-anchor": "middle" }, String(step)));
  const marks = [];
  film.channels.forEach((channel, index) => {
    if (!channel.range) return;
    const [from, to] = same ? [low, high] : channel.range;
    channel.y = (value) => place(value, from, to);
    let path = "", pen = "M", end = null;
    channel.curve.step.forEach((step, number) => {
      const value = channel.curve.loss[number];
      if (value === null || (channel.failed && step > channel.last_step)) { pen = "M"; return; }
      end = [scale.x(step), channel.y(value)];
      path += `${pen}${end[0].toFixed(1)} ${end[1].toFixed(1)}`; pen = "L";
    });
    picture.append(svg("path", { class: `curve s${index + 1}`, d: path }));
    if (channel.failed && end)
      picture.append(svg("path", { class: `curve s${index + 1}`, d: `M${end[0] - 5} ${end[1] - 5}l10 10m0 -10l-10 10` }));
  });
  for (const step of new Set(film.itinerary.channels.flatMap((stream) => stream.departures.filter((step) => step <= film.last)))) picture.append(departure(scale.x(step), top, bottom));
  const heads = film.channels.map(() => svg("line", { class: "head", y1: top - 6, y2: bottom + 4 }));
  picture.append(...heads);
  film.channels.forEach((channel, index) => {
    const dot = svg("circle", { class: `dot f${index + 1}`, r: 6, "data-channel": index + 1 });
    marks.push(dot); picture.append(dot);
  });
  box.replaceChildren(picture);
  box.setAttribute("aria-valuemax", film.last);
  updates.push(() => {
    film.channels.forEach((channel, index) => {
      const x = scale.x(position(index)), value = channel.losses[frame];
      heads[index].setAttribute("x1", x); heads[index].setAttribute("x2", x);
      marks[index].toggleAttribute("hidden", value === null || !channel.range);
      if (value === null || !channel.range) { marks[index].setAttribute("r", 0); return; }
      marks[index].setAttribute("r", 6);
      marks[index].setAttribute("cx", x); marks[index].setAttribute("cy", channel.y(value));
      marks[index].dataset.step = stepNow(index);
    });
    box.setAttribute("aria-valuenow", stepNow(0));
    box.setAttribute("aria-valuetext", film.channels.map((c, i) => `${c.label}: step ${stepNow(i)}, loss ${figures(c.said[frame])}`).join("; "));
  });
}

function itinerary() {
  const box = $("itinerary");
  box.replaceChildren();
  film.channels.forEach((channel, index) => {
    const stream = film.itinerary.channels[index];
    const holder = html("div", { class: "chart" });
    const outer = html("div", { class: "stream" }, html("h3", {}, `${index + 1} · ${channel.label}`), holder);
    box.append(outer);
    const scale = across(holder, Math.max(film.last, stream.steps[stream.steps.length - 1])), height = 92;
    draggable(holder, scale.step, index);
    const picture = svg("svg", { viewBox: `0 0 ${scale.width} ${height}`, height, role: "img", "aria-label": `Categories of ${channel.label}: ${stream.words}` });
    for (let layer = 0; layer + 1 < stream.edges.length; layer++) {
      const low = stream.edges[layer], high = stream.edges[layer + 1];
      let up = "", down = "";
      stream.steps.forEach((step, number) => {
        up += `${number ? "L" : "M"}${scale.x(step).toFixed(1)} ${(height * (1 - high[number])).toFixed(1)}`;
        down = `L${scale.x(step).toFixed(1)} ${(height * (1 - low[number])).toFixed(1)}${down}`;
      });
      const rest = layer >= film.itinerary.names.length, colour = rest ? "var(--rest)" : film.itinerary.colours[layer];
      picture.append(svg("path", { d: `${up}${down}Z`, fill: colour }));
      const thick = high.map((value, number) => value - low[number]), inside = Math.floor(thick.length * 0.85);
      const most = Math.max(...thick.slice(0, inside)), where = thick.indexOf(most);
      if (!rest && most * height > 15) {
        const dark = film.itinerary.dark[layer] ? " dark" : "";
        const late = where > thick.length / 2;
        picture.append(svg("text", { class: `name${dark}`, "text-anchor": late ? "end" : "start", x: scale.x(stream.steps[where]) + (late ? -3 : 3), y: height * (1 - (low[where] + high[where]) / 2) + 4 }, film.itinerary.names[layer]));
      }
    }
    for (const step of stream.departures) picture.append(departure(scale.x(step), 0, height));
    const head = svg("line", { class: "head", y1: -4, y2: height + 4 });
    picture.append(head);
    holder.append(picture);
    updates.push(() => { const x = scale.x(position(index)); head.setAttribute("x1", x); head.setAttribute("x2", x); });
  });
  const table = $("categories"), head = html("tr", {}, html("th", { scope: "col" }, "category at arrival"));
  film.channels.forEach((channel, index) => head.append(html("th", { scope: "col" }, `${index + 1} · ${channel.label}`)));
  const body = html("tbody");
  film.itinerary.names.forEach((name, layer) => {
    const swatch = html("span", { class: "swatch" });
    swatch.style.background = film.itinerary.colours[layer];
    const row = html("tr", {}, html("td", {}, swatch, name));
    for (const stream of film.itinerary.channels) row.append(html("td", {}, `${Math.round(100 * stream.arrival[layer])} %`));
    body.append(row);
  });
  table.replaceChildren(html("thead", {}, head), body);
}

function panorama() {
  const data = film.panorama, canvas = $("trajectories"), map = $("map");
  $("panorama").hidden = !data;
  if (!data) return;
  map.src = data.map;
  map.width = 1440; map.height = Math.round(1440 * (data.extent[3] - data.extent[2]) / (data.extent[1] - data.extent[0]));
  $("panorama-link").href = data.whole;
  $("panorama-note").textContent = `${film.same_loss ? `The ${data.loss} loss` : `The three minimised different losses; this is ${data.loss}, one metric for all,`} on the plane through the three arrivals. A trajectory is far from this plane for most of its steps: the further, the more fog. It has all but gone at a distance of ${figures(data.gone)}.${data.passes.length ? " Dashed: the passes, the lowest ways found between two arrivals, each with a cross where it is highest." : ""}`;
  const style = ["#e8b04a", "#f0705a", "#7ad3da"];
  const draw = () => {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width) return;
    if (canvas.width !== Math.round(width * ratio)) { canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio); }
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.lineCap = "round";
    const [left, right, low, high] = data.extent;
    const x = (value) => (value - left) / (right - left) * width, y = (value) => (high - value) / (high - low) * height;
    const unit = clamp(width / 900, 0.6, 1.2);
    for (const [colour, wide] of [["#0d1419", 3.6], ["#f4f1ea", 1.8]]) for (const band of data.passes) {
      pen.globalAlpha = 1; pen.strokeStyle = colour; pen.lineWidth = wide * unit;
      pen.setLineDash([6 * unit, 3 * unit]);
      pen.beginPath(); band.x.forEach((value, number) => pen.lineTo(x(value), y(band.y[number]))); pen.stroke();
      pen.setLineDash([]);
      const arm = 5 * unit, px = x(band.top[0]), py = y(band.top[1]);
      pen.beginPath(); pen.moveTo(px - arm, py - arm); pen.lineTo(px + arm, py + arm); pen.moveTo(px - arm, py + arm); pen.lineTo(px + arm, py - arm); pen.stroke();
    }
    data.trajectories.forEach((trajectory, index) => {
      const now = position(index);
      for (let number = 1; number < trajectory.steps.length; number++) {
        const clear = Math.exp(-2 * (trajectory.away[number] / data.gone) ** 2);
        const passed = trajectory.steps[number] <= now;
        for (const [colour, wide, much] of [["#0d1419", 4.4, 0.5], [style[index], 2.2, 1]]) {
          pen.globalAlpha = clear * much * (passed ? 1 : 0.22);
          pen.strokeStyle = colour; pen.lineWidth = wide * unit;
          pen.beginPath(); pen.moveTo(x(trajectory.x[number - 1]), y(trajectory.y[number - 1])); pen.lineTo(x(trajectory.x[number]), y(trajectory.y[number])); pen.stroke();
        }
      }
      const end = trajectory.x.length - 1;
      pen.globalAlpha = 0.9; pen.strokeStyle = style[index]; pen.lineWidth = 1.4;
      pen.beginPath(); pen.arc(x(trajectory.x[end]), y(trajectory.y[end]), 11 * unit, 0, 7); pen.stroke();
    });
    data.trajectories.forEach((trajectory, index) => {
      const now = position(index), px = x(at(trajectory.steps, trajectory.x, now)), py = y(at(trajectory.steps, trajectory.y, now));
      const far = at(trajectory.steps, trajectory.away, now) / data.gone, clear = Math.exp(-2 * far * far);
      const reach = (14 + 46 * Math.min(far, 1.3)) * unit;
      const fog = pen.createRadialGradient(px, py, 0, px, py, reach);
      fog.addColorStop(0, "rgba(244,241,234,.75)"); fog.addColorStop(1, "rgba(244,241,234,0)");
      pen.globalAlpha = 1 - clear; pen.fillStyle = fog;
      pen.beginPath(); pen.arc(px, py, reach, 0, 7); pen.fill();
      pen.globalAlpha = 0.35 + 0.65 * clear; pen.fillStyle = style[index]; pen.strokeStyle = "#0d1419"; pen.lineWidth = 1.2;
      pen.beginPath(); pen.arc(px, py, 9 * unit, 0, 7); pen.fill(); pen.stroke();
      pen.globalAlpha = 1; pen.fillStyle = "#0d1419"; pen.font = `${Math.round(11 * unit)}px system-ui, sans-serif`;
      pen.textAlign = "center"; pen.textBaseline = "middle"; pen.fillText(String(index + 1), px, py + 0.5);
    });
  };
  updates.push(draw);
  map.onload = draw;
  const box = $("profiles");
  const all = data.profiles.flatMap((profile) => [...profile.loss, ...(profile.pass || [])]), low = Math.min(...all), high = Math.max(...all);
  const ends = [[1, 2], [2, 3], [3, 1]];
  box.replaceChildren(...data.profiles.map((profile, pair) => {
    const put = (value) => 76 - 66 * (high > low ? (value - low) / (high - low) : 0.5);
    const line = (values) => values.map((value, number) => `${(4 + 292 * number / (values.length - 1)).toFixed(1)} ${put(value).toFixed(1)}`);
    const points = line(profile.loss);
    const picture = svg("svg", { viewBox: "0 0 300 84", preserveAspectRatio: "none", role: "img", "aria-label": profile.said },
      svg("path", { d: `M4 82L${points.join("L")}L296 82Z`, fill: "var(--wash)" }),
      svg("path", { d: `M${points.join("L")}`, class: "curve", stroke: "var(--ink)", "vector-effect": "non-scaling-stroke" }),
      ...(profile.pass ? [svg("path", { d: `M${line(profile.pass).join("L")}`, class: "curve", stroke: "var(--ink)", "stroke-dasharray": "5 3", "vector-effect": "non-scaling-stroke" })] : []),
      // a dot is the end of a line that has no length: circles would be stretched with the picture
      ...ends[pair].map((channel, end) => svg("path", { class: `end s${channel}`, "vector-effect": "non-scaling-stroke", d: `M${points[end ? points.length - 1 : 0]}h0` })));
    return html("figure", {}, picture, html("figcaption", {}, profile.said));
  }));
}

function captions() {
  const rows = film.channels.map((channel, index) => {
    const step = html("span"), top = html("span");
    const row = html("li", { class: `c${index + 1}` }, html("b", {}, channel.label), step, top);
    if (channel.failed) row.append(html("span", { class: "failed" }, `failed: stopped at step ${channel.last_step}, where its loss was no longer a number`));
    if (channel.missing) row.append(html("span", { class: "failed" }, "missing: no record of this inversion was found"));
    updates.push(() => {
      step.textContent = `${channel.places ? channel.places[frame] : `step ${stepNow(index)}`} · loss ${figures(channel.said[frame])}`;
      top.textContent = channel.tops[frame] === null ? "" : channel.names[channel.tops[frame]];
    });
    return row;
  });
  $("channels").replaceChildren(...rows);
}

function redraw() {
  updates = [];
  captions(); losses(); panorama(); itinerary();
  shown(frame);
}

function open(index) {
  film = DATA.films[index];
  wanted = null; frame = 0;
  scrubber.max = film.frames - 1;
  $("film-title").textContent = film.title;
  $("film-why").textContent = film.why;
  $("film-missing").hidden = true;
  video.hidden = false;
  video.width = film.width; video.height = film.height;
  video.src = film.video;
  redraw();
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) video.play().catch(() => {});
  playing();
}
let drawn = 0;
new ResizeObserver(() => { const width = $("losses").clientWidth; if (film && width !== drawn) { drawn = width; redraw(); } }).observe($("losses"));
$("films")?.addEventListener("change", (event) => open(+event.target.value));
open(0);

// ---- the gallery --------------------------------------------------------------------------------------------------

function arrivals() {
  const gallery = $("arrivals"), chosen = [];
  for (const button of document.querySelectorAll("[data-order]")) button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("[data-order]")) other.setAttribute("aria-pressed", other === button);
    const place = (tile) => Number(tile.dataset[button.dataset.order]) || Infinity;
    gallery.append(...[...gallery.children].sort((a, b) => place(a) - place(b)));
  });
  // The three chosen, from their stored moments: a strip of pictures each, of which one is in view.
  const moment = $("moment"), moments = DATA.moments;
  function preview() {
    if (!moments || !moments.count) { $("preview").hidden = $("own-note").hidden = moment.parentNode.hidden = true; return; }
    const last = moments.count - 1;
    if ($("preview").dataset.of === chosen.join()) return;
    $("preview").dataset.of = chosen.join();
    moment.value = moment.max = last;
    $("preview").replaceChildren(...chosen.map((trajectory) => {
      const tile = html("div", { "data-trajectory": trajectory }), said = html("span");
      const own = html("input", { type: "range", min: 0, max: last, value: last, step: 1, "aria-label": `Where channel ${chosen.indexOf(trajectory) + 1} ends` });
      tile.style.backgroundImage = `url(${moments.strips[trajectory]})`;
      tile.style.backgroundSize = `${100 * moments.count}% 100%`;
      own.addEventListener("input", () => {
        tile.style.backgroundPositionX = `${last ? 100 * own.value / last : 0}%`;
        said.textContent = +own.value === last ? "to its arrival" : `to step ${moments.steps[trajectory][own.value]}`;
        tell();
      });
      return html("figure", {}, tile, own, html("figcaption", {}, said));
    }));
    for (const own of $("preview").querySelectorAll("input")) own.dispatchEvent(new Event("input"));
  }
  moment.addEventListener("input", () => {
    for (const own of $("preview").querySelectorAll("input")) { own.value = moment.value; own.dispatchEvent(new Event("input")); }
  });
  // A trajectory is called setting/seed; up to a moment, setting/seed@step.
  function tell() {
    const named = [...$("preview").querySelectorAll("figure")].map((figure, place) => {
      const own = figure.querySelector("input"), trajectory = chosen[place];
      return own.value === own.max ? trajectory : `${trajectory}@${moments.steps[trajectory][own.value]}`;
    });
    const three = (named.length ? named : chosen).join('", "');
    $("chosen-line").textContent = DATA.film_line.replace("TRAJECTORIES", three);
    $("chosen").textContent = DATA.film_command.replace("TRAJECTORIES", three);
  }
  $("copy").addEventListener("click", () => {
    const range = document.createRange();
    range.selectNodeContents($("chosen"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    $("copy").textContent = document.execCommand("copy") ? "Copied" : "Selected: copy it";
  });
  for (const tile of gallery.children) tile.addEventListener("click", () => {
    const trajectory = tile.dataset.trajectory, known = chosen.indexOf(trajectory);
    if (known >= 0) chosen.splice(known, 1); else { chosen.push(trajectory); if (chosen.length > 3) chosen.shift(); }
    for (const other of gallery.children) other.setAttribute("aria-pressed", chosen.includes(other.dataset.trajectory));
    $("choice").hidden = chosen.length !== 3;
    if (chosen.length === 3) { preview(); tell(); }
    $("chosen-note").textContent = chosen.length === 3 ? "In the project's folder, this makes their film, films/mine, and inverts nothing again:" : chosen.length ? `${chosen.length} of 3 chosen.` : "None chosen.";
  });
}
})();
