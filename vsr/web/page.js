// The page: a film is chosen, looked at, and restored.

import { showVideo, startCompare } from "./compare.js";
import { factsOf, listFilms, startFilms } from "./films.js";
import { discard, refreshJobs, startJobs } from "./jobs.js";
import { startLive } from "./live.js";
import { $, attempt, bytes, clock, element, post, request, say } from "./request.js";

let film = null; // the chosen one
let models = new Map();
let asked = new AbortController(); // the preview, estimate or suggestion that is being made
let rate = null; // size of a second of the result, and the film and options it is for

// The token came with the address and is a cookie now: nobody needs to see it.
history.replaceState(null, "", location.pathname);
startCompare();
attempt(start);

async function start() {
  const films = startFilms(choose);
  const settings = await request("api/settings");
  $("#folder").textContent = settings.folder;
  models = new Map(settings.models.map(model => [model.name, model]));
  const { model, fit, fidelity, faces } = $("#options").elements;
  model.append(...[...models.keys()].map(name => element("option", { textContent: name })));
  fit.append(...settings.heights.map(rows => element("option", { value: rows, textContent: `${rows} rows` })));
  model.onchange = showModel;
  faces.onchange = showFidelity;
  offerFaces(settings.missing_for_faces);
  fidelity.oninput = showFidelity;
  $("#options").onsubmit = event => { event.preventDefault(); attempt(restore); };
  $("#options").onchange = event => { if (event.target.id !== "notify") $("#forecast").textContent = ""; };
  $("#suggest").onclick = () => attempt(suggest);
  $("#preview").onclick = () => attempt(preview);
  $("#estimate").onclick = () => attempt(estimate);
  $("#moment").oninput = sayMoment;
  $("#moment").onchange = showMoment;
  $("#notify").onchange = () => { if ($("#notify").checked) Notification.requestPermission(); };
  showModel();
  startJobs(compareJob);
  startLive([...models.keys()].filter(name => name !== "auto"), () => film);
  await films;
}

async function choose(chosen) {
  asked.abort();
  film = chosen;
  $("#film").hidden = false;
  $("#film-title").textContent = film.name;
  $("#forecast").textContent = $("#suggestion").textContent = "";
  const { codec, width, height, seconds, fps } = await factsOf(film.id);
  if (film !== chosen) return;
  const facts = [`${width}×${height}`, codec, fps && `${fps.toFixed(3).replace(/\.?0+$/, "")} frames/s`];
  $("#facts").textContent = [...facts, seconds && clock(seconds), bytes(film.size)].filter(Boolean).join(", ");
  $("#moment").max = Math.max(0, (seconds ?? 0) - 0.5);
  $("#moment").value = (seconds ?? 0) / 10;
  sayMoment();
  showMoment();
  $("#film-title").focus();
}

function sayMoment() {
  const seconds = Number($("#moment").value);
  $("#moment-time").textContent = `${clock(seconds)}.${Math.floor(seconds * 10) % 10}`;
}

function showMoment() {
  $("#moment-picture").src = `api/films/${film.id}/picture?at=${$("#moment").value}`;
}

function showModel() {
  const { model, fidelity } = $("#options").elements;
  const { summary, scale, fidelity: published } = models.get(model.value);
  $("#model-summary").textContent = `${summary}${scale ? `; enlarges ${scale} times` : ""}`;
  fidelity.value = published ?? 0.5; // 0.5 is the default of `vsr restore --faces`
  showFidelity();
}

// Some models have a fidelity; faces always have one.
function showFidelity() {
  const { model, fidelity, faces } = $("#options").elements;
  const ofModel = models.get(model.value).fidelity !== null;
  $("#fidelity").hidden = !ofModel && !faces.checked;
  $("#fidelity output").textContent = fidelity.value;
  $("#fidelity-help").textContent = ofModel ? "0 invents detail, 1 stays close to the film" : "0 makes new faces, 1 leaves them as they are";
}

function offerFaces(missing) {
  const pulls = missing.map(name => `\`vsr models pull ${name}\``).join(" and ");
  $("#options").elements.faces.disabled = missing.length > 0;
  $("#faces-help").textContent = missing.length
    ? `Needs ${pulls}; then reload this page. Not for commercial use.`
    : "Found, followed and restored by a network of their own; not for commercial use.";
}

function options() {
  const { model, fit, fidelity, deinterlace, faces } = $("#options").elements;
  return {
    model: model.value,
    deinterlace: deinterlace.value,
    ...(fit.value && { fit: Number(fit.value) }),
    ...(faces.checked && { faces: true }),
    ...(!$("#fidelity").hidden && { fidelity: Number(fidelity.value) }),
  };
}

// Ask for something that takes seconds; another question takes its place.
async function ask(button, address, content) {
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  button.setAttribute("aria-busy", "true");
  say("Working …");
  try {
    return await post(address, content, signal);
  } finally {
    button.removeAttribute("aria-busy");
    if (asked.signal === signal) say("");
  }
}

// Look at some seconds of the film, say what ails them, and set the options that are suggested.
async function suggest() {
  const at = Number($("#moment").value);
  const { found, options, reasons } = await ask($("#suggest"), `api/films/${film.id}/suggestion`, { at });
  const { model, fit, deinterlace } = $("#options").elements;
  if (models.has(options.model)) model.value = options.model;
  fit.value = options.fit ?? "";
  deinterlace.value = options.deinterlace;
  showModel();
  $("#forecast").textContent = "";
  $("#suggestion").textContent = `Found: ${found}. Set: ${reasons.join("; ") || "the defaults"}.`;
}

async function preview() {
  const content = { at: Number($("#moment").value), options: options() };
  const made = await ask($("#preview"), `api/films/${film.id}/preview`, content);
  rate = { bytes: made.bytes_per_s, key: keyOf(film, content.options) };
  $("#keep").hidden = true;
  await showVideo(made, `${film.name}: input and preview by ${made.model}`);
}

const keyOf = (film, options) => JSON.stringify([film.id, options]);

// The size of the result is known from a preview with the same options.
async function expectedSize(chosen) {
  if (rate?.key !== keyOf(film, chosen) || rate.bytes === null) return "a preview tells the size of its file";
  const { seconds } = await factsOf(film.id);
  return seconds === null ? `${bytes(rate.bytes)} a second` : `a file of about ${bytes(rate.bytes * seconds)}`;
}

async function estimate() {
  const chosen = options();
  const made = await ask($("#estimate"), `api/films/${film.id}/estimate`, { options: chosen });
  const time = made.seconds === null ? "an unknown time" : `about ${clock(made.seconds)}`;
  const memory = `${bytes(made.memory_bytes)} of ${bytes(made.budget_bytes)} memory`;
  $("#forecast").textContent = `${time} (${made.fps.toFixed(1)} frames/s on ${made.device}), ${memory}, ` +
    `result of ${made.output_size.join("×")}, ${await expectedSize(chosen)}` +
    (made.faces === null ? "" : `; besides, ${made.faces.face_s.toFixed(1)} s for each face in each frame`);
}

async function restore() {
  await post(`api/films/${film.id}/jobs`, { options: options() });
  await refreshJobs();
  say(`${film.name} is in the queue.`);
}

async function compareJob(job) {
  const at = Number($("#moment").value) || 0;
  const made = await ask($("#preview"), `api/jobs/${job.id}/comparison`, { at });
  $("#keep").hidden = job.state !== "done";
  const answer = work => () => attempt(async () => { await work(); $("#keep").hidden = true; await refreshJobs(); await listFilms(); });
  $("#keep-both").onclick = answer(() => say("Both stay."));
  $("#keep-film").onclick = answer(() => discard(job));
  $("#keep-result").onclick = answer(() => replaceFilm(job));
  await showVideo(made, `${job.name}: film and result`);
}

async function replaceFilm(job) {
  const { place } = await post(`api/jobs/${job.id}/keep`);
  say(place === null ? "The dropped film is removed." : `The film is now ${place}.`);
}
