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
  const { model, fit, fidelity } = $("#options").elements;
  model.append(...[...models.keys()].map(name => element("option", { textContent: name })));
  fit.append(...settings.heights.map(rows => element("option", { value: rows, textContent: `${rows} rows` })));
  model.onchange = showModel;
  fidelity.oninput = () => { $("#fidelity output").textContent = fidelity.value; };
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
  const model = models.get($("#options").elements.model.value);
  $("#model-summary").textContent = `${model.summary}${model.scale ? `; enlarges ${model.scale} times` : ""}`;
  $("#fidelity").hidden = model.fidelity === null;
  $("#options").elements.fidelity.value = model.fidelity ?? 0;
  $("#fidelity output").textContent = model.fidelity ?? "";
}

function options() {
  const { model, fit, fidelity, deinterlace } = $("#options").elements;
  return {
    model: model.value,
    deinterlace: deinterlace.value,
    ...(fit.value && { fit: Number(fit.value) }),
    ...(models.get(model.value).fidelity !== null && { fidelity: Number(fidelity.value) }),
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
    `result of ${made.output_size.join("×")}, ${await expectedSize(chosen)}`;
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
  await showVideo(made, `${job.name}: input and ${job.result}`);
}

async function replaceFilm(job) {
  const { place } = await post(`api/jobs/${job.id}/keep`);
  say(place === null ? "The dropped film is removed." : `The film is now ${place}.`);
}
